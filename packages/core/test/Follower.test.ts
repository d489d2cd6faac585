import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Random } from "effect"
import { LeaseLock } from "../src/index.ts"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { held, holderOf, of, released } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("follower", () => {
  it.effect(
    "rule 1: waits for the duration in the record, from when it saw the record, whatever the times in it say",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedLock
        yield* pass("1 hour")
        // Long expired by its own clock, and short-lived by its own word.
        yield* script.put(held({ lease: "3 seconds" }))
        const a = yield* start("a")
        yield* pass("2990 millis")
        assert.strictEqual(of(script, "write", "a").length, 0)
        yield* pass("20 millis")
        assert.isTrue(yield* a.election.isLeader)
        assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 8)
      }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a renewal in the far future does not hold the lock longer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ renewedAt: 253_402_300_000_000 }))
      const a = yield* start("a")
      yield* pass("15010 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: changes of anything but the record do not start the wait anew", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a")
      yield* Effect.repeat(Effect.andThen(pass("3 seconds"), script.touch), { times: 3 })
      yield* pass("3010 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a wall clock that steps forward does not make it take over", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      yield* script.put(held({}))
      yield* start("a", { clock: time.clock })
      yield* pass("1 second")
      time.step(3_600_000)
      yield* pass("13 seconds")
      assert.strictEqual(of(script, "write", "a").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a holder that renews unseen keeps the lock: the takeover compares with what was seen", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a")
      yield* pass("1 second")
      script.watch("Silent")
      script.fault("read", { _tag: "Fail", reason: new LeaseLock.Unavailable({}) }, 1000)
      yield* pass("10 seconds")
      yield* script.put(held({ renewedAt: 11_000 }))
      yield* pass("10 seconds")
      assert.isAtLeast(of(script, "write", "a").length, 1)
      assert.strictEqual(holderOf(script), "other")
      assert.strictEqual(entries(a, "started").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a read that hangs does not delay the takeover", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a", { requestTimeout: "5 seconds" })
      yield* pass("1 second")
      script.watch("Silent")
      script.fault("read", { _tag: "Lost" }, 1000)
      yield* pass("14010 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 3: an absent, released or emptied lock is taken at once", () =>
    Effect.gen(function* () {
      for (const record of [undefined, released(), released({ holder: Option.some("") })]) {
        yield* Effect.gen(function* () {
          const script = yield* ScriptedLock
          if (record !== undefined) yield* script.put(record)
          const a = yield* start("a")
          yield* pass("5 millis")
          assert.isTrue(yield* a.election.isLeader)
          assert.strictEqual(Option.getOrThrow(script.current().record).transitions, record === undefined ? 0 : 8)
        }).pipe(Effect.provide(ScriptedLock.layer, { local: true }))
      }
    })
  )

  it.effect("rule 3: a notice that someone won cancels the attempt", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      yield* start("a").pipe(Random.withSeed("late"))
      yield* pass("1 second")
      yield* script.put(released())
      yield* script.put(held({ holder: "b", renewedAt: 1000 }))
      yield* pass("1 second")
      assert.strictEqual(of(script, "write", "a").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 5: after a loss a candidate competes again by itself", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.put(held({ renewedAt: 1000 }))
      yield* pass("15010 millis")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 2)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 5: after a resignation the other one wins", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      const b = yield* start("b")
      yield* pass("1 second")
      yield* Effect.forkChild(a.election.resign)
      yield* pass("1 minute")
      assert.isTrue(yield* b.election.isLeader)
      assert.strictEqual(entries(b, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("a stale notice is ignored", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const stale = script.current()
      yield* script.put(released())
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.notify(stale)
      yield* pass("1 second")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("a server restored from a backup, whose versions went back, is believed", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: "30 seconds" }))
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.notify({ ...script.current(), version: "900", fence: 900n })
      yield* pass("20 seconds")
      yield* script.put(released())
      yield* pass("15 seconds")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a lock deleted and made again with the same content starts the wait anew", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held())
      const a = yield* start("a")
      yield* pass("10 seconds")
      yield* script.replace
      yield* pass("14900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a record without end is waited for without end", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: Duration.infinity }))
      const a = yield* start("a")
      yield* pass("1 hour")
      assert.strictEqual(of(script, "write", "a").length, 0)
      assert.strictEqual(Option.getOrThrow(yield* a.election.leader).identity, "other")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a record with a negative duration has run out when it is seen", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: Duration.seconds(-60) }))
      const a = yield* start("a")
      yield* pass("10 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )
})
