/**
 * The job under virtual time: the election and its lock are the real ones, in memory, and nothing waits.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Schema } from "effect"
import { TestClock } from "effect/testing"
import { job } from "../src/job.ts"

const Line = Schema.Struct({
  message: Schema.Literals(["started leading", "tick", "stopped leading"]),
  annotations: Schema.Struct({ token: Schema.String, pod: Schema.String })
})

/** What the pods said, in order: `a tick 1` is a tick of pod a under token 1. */
const listen = () => {
  const said: Array<string> = []
  const logger = Logger.map(Logger.formatStructured, (line) => {
    // The election's own lines are none of the job's.
    if (!Schema.is(Line)(line)) return
    said.push(`${line.annotations.pod} ${line.message} ${line.annotations.token}`)
  })
  return { said, logs: Logger.layer([logger]) }
}

const pod = (identity: string) =>
  LeaderElection.whileLeading(job).pipe(
    Effect.provide(LeaderElection.layer({ identity })),
    Effect.annotateLogs({ pod: identity })
  )

describe("hello-leader", () => {
  it.effect("ticks four times a second while it leads, and says when it stops", () => {
    const { logs, said } = listen()
    return Effect.gen(function* () {
      const only = yield* Effect.forkChild(pod("a"))
      yield* TestClock.adjust("600 millis")
      yield* Fiber.interrupt(only)

      assert.deepStrictEqual(said, ["a started leading 1", "a tick 1", "a tick 1", "a tick 1", "a stopped leading 1"])
    }).pipe(Effect.provide(LeaseLock.layerMemory()), Effect.provide(logs))
  })

  it.effect("ticks in one pod at a time: the next begins, with a greater token, once the first has stopped", () => {
    const { logs, said } = listen()
    return Effect.gen(function* () {
      const first = yield* Effect.forkChild(pod("a"))
      yield* TestClock.adjust("100 millis")
      yield* Effect.forkChild(pod("b"))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(said.every((line) => line.startsWith("a ")))

      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")

      const turn = said.findIndex((line) => line.startsWith("b "))
      assert.match(said[turn - 1] ?? "", /^a stopped leading 1$/)
      assert.match(said[turn] ?? "", /^b started leading \d+$/)
      assert.isTrue(said.slice(turn).every((line) => line.startsWith("b ")))
      assert.isAbove(Number(said[turn]?.split(" ").at(-1)), 1)
    }).pipe(Effect.provide(LeaseLock.layerMemory()), Effect.provide(logs))
  })
})
