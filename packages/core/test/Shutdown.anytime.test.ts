import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Duration } from "effect"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import type { Candidate } from "./Candidate.ts"
import { held, holderOf, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

/** Whenever a shutdown is asked for, the layer closes in bounded time, and gives back what it can. */
describe("a shutdown is not lost", () => {
  const closesWithin = Effect.fnUntraced(function* (a: Candidate, limit: Duration.Input) {
    const closing = yield* a.close
    yield* pass(limit)
    assert.isDefined(closing.pollUnsafe())
    assert.strictEqual((yield* a.leadership)._tag, "Stopped")
  })

  it.effect("in the instant of a loss", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      const a = yield* start("a", { clock: time.clock, cleanup: "1 second" })
      yield* pass("1 second")
      // The shutdown is the first that finds the term expired.
      time.step(11_000)
      yield* closesWithin(a, "1100 millis")
      assert.isUndefined(holderOf(script))
      assert.strictEqual(entries(a, "stopped").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("while the work of a resigned term drains", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "3 seconds" })
      yield* pass("1 second")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("1 second")
      yield* closesWithin(a, "2100 millis")
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("while the work of a lost term stops", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "3 seconds" })
      yield* pass("1 second")
      yield* script.put(held())
      yield* pass("1 second")
      yield* closesWithin(a, "2100 millis")
      assert.strictEqual(entries(a, "stopped").length, 1)
      assert.strictEqual(holderOf(script), "other")
    }).pipe(lockIsGiven)
  )

  it.effect("while the work of an expired term stops, and what is still held then is given back", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "3 seconds" })
      yield* pass("1 second")
      script.fault("write", unavailable(), 1000)
      yield* pass("10 seconds")
      assert.strictEqual((yield* a.leadership)._tag, "Draining")
      script.heal()
      yield* closesWithin(a, "3 seconds")
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("after an overrun", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 hour" })
      yield* pass("1 second")
      yield* script.put(held())
      yield* pass("30 seconds")
      yield* closesWithin(a, "1 millis")
      assert.strictEqual(entries(a, "stopped").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("while a resignation gives the lock back", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.setLatency("400 millis")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("100 millis")
      yield* closesWithin(a, "400 millis")
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("while a resigned candidate rests", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("1 second")
      yield* closesWithin(a, "1 millis")
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("while its own work drains and the lock is lost meanwhile", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "3 seconds" })
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("1 second")
      yield* script.put(held())
      yield* pass("1900 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* pass("200 millis")
      assert.isDefined(closing.pollUnsafe())
      assert.strictEqual(holderOf(script), "other")
    }).pipe(lockIsGiven)
  )
})
