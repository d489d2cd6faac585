import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as LogLine from "../src/LogLine.ts"

/** What a replica writes for a log line. */
const written = (log: Effect.Effect<void>) => {
  const lines: Array<string> = []
  const logger = Logger.map(Logger.formatJson, (line) => void lines.push(line))
  return Effect.as(Effect.provide(log, Logger.layer([logger])), lines)
}

describe("a line of a replica", () => {
  it.effect("is work when it is the job's, at the time at which it was written", () =>
    Effect.gen(function* () {
      const lines = yield* written(Effect.log("tick").pipe(Effect.annotateLogs({ token: "41" })))
      assert.deepStrictEqual(
        lines.map((line) => LogLine.read("hello-0", line)),
        [{ _tag: "Worked", mark: { at: 0, replica: "hello-0", token: 41n, did: "ticked" } }]
      )
    })
  )

  it.effect("is talk when it is the election's, and trouble from a warning on", () =>
    Effect.gen(function* () {
      const [calm = "", trouble = ""] = yield* written(
        Effect.andThen(Effect.log("became leader"), Effect.logWarning("lost default/hello-leader: Expired"))
      )
      assert.deepStrictEqual(LogLine.read("a", calm), {
        _tag: "Spoke",
        replica: "a",
        text: "became leader",
        isTrouble: false
      })
      assert.deepInclude(LogLine.read("a", trouble), { text: "lost default/hello-leader: Expired", isTrouble: true })
    })
  )

  it("is trouble when it is no log line at all", () => {
    assert.deepInclude(LogLine.read("a", "node: bad option"), { text: "node: bad option", isTrouble: true })
  })
})
