import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { entries, pass, start } from "./Candidate.ts"
import { held, of, released, withChance } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("contention", () => {
  it.effect("contention: of many candidates one wins, and they do not storm the lock", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.setLatency("5 millis")
      yield* script.put(held({}))
      const candidates = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, index) => `candidate-${index}`),
        (name) => start(name).pipe(Random.withSeed(name))
      )
      yield* pass("1 second")
      script.requests.length = 0
      yield* script.put(released())
      yield* pass("1 second")
      const leaders = candidates.filter((candidate) => entries(candidate, "started").length > 0)
      assert.strictEqual(leaders.length, 1)
      const writes = script.requests.filter((request) => request.kind === "write")
      assert.isAtMost(writes.length, 50)
      assert.isAtMost(script.requests.length, 60)
    }).pipe(lockIsGiven)
  )

  it.effect("the window doubles for who came too late, up to 250 ms, and shrinks for who wins", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held())
      const a = yield* start("a").pipe(withChance(0.999))
      yield* pass("1 second")
      const now = Effect.clockWith((clock) => clock.currentTimeMillis)
      // How long after a release the candidate attempts it; somebody else was faster, unless it may win.
      const attempt = Effect.fnUntraced(function* (mayWin: boolean) {
        const at = yield* now
        const sent = of(script, "write", "a").length
        script.watch("Live")
        yield* script.put(released({ at }))
        yield* pass(0)
        script.watch("Silent")
        if (!mayWin) yield* script.put(held({ renewedAt: at }))
        yield* pass("900 millis")
        return (of(script, "write", "a")[sent]?.at ?? Infinity) - at
      })
      const lost = yield* Effect.replicateEffect(attempt(false), 8)
      assert.deepStrictEqual(lost, [4, 8, 16, 32, 64, 128, 250, 250])
      assert.strictEqual(yield* attempt(true), 250)
      assert.isTrue(yield* a.election.isLeader)
      script.watch("Live")
      yield* script.put(held({ renewedAt: yield* now }))
      yield* pass("1 second")
      assert.strictEqual(yield* attempt(false), 125)
    }).pipe(lockIsGiven)
  )
})
