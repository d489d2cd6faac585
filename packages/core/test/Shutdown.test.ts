import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Layer, Option, Scheduler } from "effect"
import { entries, layer, makeClock, pass, start } from "./Candidate.ts"
import type { Candidate } from "./Candidate.ts"
import { conflict, held, holderOf, of, released, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("shutdown of a holder", () => {
  it.effect("rule 7: a shutdown renews while the work drains, and releases only after its last finalizer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "12 seconds", renewDeadline: "4 seconds", retryPeriod: "1 second" })
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("11 seconds")
      assert.strictEqual(holderOf(script), "a")
      // Every second, and it stays a term that drains: without, it would have run out at 4 s.
      assert.isAtLeast(of(script, "write", "a").length, 11)
      const draining = yield* a.leadership
      assert.isTrue(draining._tag === "Draining" && draining.end === "Shutdown" && draining.term.isValid())
      yield* pass("2 seconds")
      yield* Fiber.join(closing)
      const released = Option.getOrThrow(script.current().record)
      assert.isTrue(Option.isNone(released.holder))
      assert.strictEqual(entries(a, "stopped").length, 1)
      assert.isAtLeast(DateTime.toEpochMillis(released.renewedAt), entries(a, "stopped")[0]?.at ?? Infinity)
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 7: work that does not drain in time loses the renewals, then the lease", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 hour", drainTimeout: "5 seconds" })
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("5 seconds")
      const sent = of(script, "write", "a").length
      yield* pass("30 seconds")
      assert.strictEqual(of(script, "write", "a").length, sent)
      assert.strictEqual(holderOf(script), "a")
      // The layer does not wait for ever: the overrun was told, and the lease has run out.
      yield* Fiber.join(closing)
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 7: a release never goes over a successor", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      yield* pass("1 second")
      script.watch("Silent")
      const closing = yield* a.close
      yield* pass("900 millis")
      yield* script.put(held({ holder: "b" }))
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(holderOf(script), "b")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 7: a release that conflicts with a mere edit is tried again", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      yield* pass("1 second")
      script.watch("Silent")
      const closing = yield* a.close
      yield* pass("900 millis")
      yield* script.touch
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("rule 7: a shutdown during a renewal that is under way still releases", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.setLatency("400 millis")
      yield* pass("1100 millis")
      const closing = yield* a.close
      yield* pass("3 seconds")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("releaseOnShutdown: false leaves the lock to run out", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { releaseOnShutdown: false })
      yield* pass("1 second")
      yield* Effect.flatMap(a.close, Fiber.join)
      assert.strictEqual(holderOf(script), "a")
    }).pipe(lockIsGiven)
  )

  it.effect("an overrun at shutdown is told, and what is told of it may take its time", () =>
    Effect.gen(function* () {
      const overruns: Array<number> = []
      const a = yield* start("a", {
        cleanup: "1 hour",
        drainTimeout: "5 seconds",
        onOverrun: ({ running }) =>
          Effect.delay(
            Effect.sync(() => overruns.push(running)),
            "1 second"
          )
      })
      yield* pass("1 second")
      yield* a.close
      yield* pass("60 seconds")
      assert.deepStrictEqual(overruns, [1])
    }).pipe(lockIsGiven)
  )

  it.effect("a lock that answers everything with a conflict is sent few requests", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "3 seconds" })
      yield* pass("1 second")
      script.requests.length = 0
      script.fault("read", conflict, 100_000)
      script.fault("write", conflict, 100_000)
      const closing = yield* a.close
      yield* pass("20 seconds")
      yield* Fiber.join(closing)
      assert.isAtMost(script.requests.length, 50)
    }).pipe(lockIsGiven)
  )

  it.effect("a lock that answers every write with a conflict is sent few requests", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.requests.length = 0
      script.fault("write", conflict, 100_000)
      const closing = yield* a.close
      yield* pass("20 seconds")
      yield* Fiber.join(closing)
      assert.isAtMost(script.requests.length, 50)
    }).pipe(lockIsGiven)
  )

  it.effect("a notice of another holder ends the release at once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.fault("write", unavailable({ retryAfter: Duration.seconds(3) }))
      const closing = yield* a.close
      yield* pass("1 second")
      assert.isUndefined(closing.pollUnsafe())
      script.requests.length = 0
      yield* script.put(held({ holder: "b" }))
      yield* pass("1 millis")
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(script.requests, [])
    }).pipe(lockIsGiven)
  )
})

describe("shutdown of a follower", () => {
  it.effect("a shutdown while an acquiring write is under way leaves nothing held, and no work starts", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.setLatency("400 millis")
      const a = yield* start("a")
      yield* pass("500 millis")
      assert.strictEqual(of(script, "write", "a").length, 1)
      const closing = yield* a.close
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
      assert.strictEqual(entries(a, "started").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("a shutdown after an acquiring write got no answer leaves nothing held either", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.watch("Silent")
      script.fault("write", { _tag: "AnswerLost" })
      const a = yield* start("a", { requestTimeout: "1 second" })
      yield* pass("1050 millis")
      const closing = yield* a.close
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("a shutdown after the read that should have cleared a doubt failed leaves nothing held", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.watch("Silent")
      script.fault("write", { _tag: "AnswerLost" })
      const a = yield* start("a", { requestTimeout: "1 second" })
      yield* pass("1 second")
      script.fault("read", unavailable({ retryAfter: Duration.seconds(10) }))
      yield* pass("1 second")
      assert.strictEqual(of(script, "read", "a").length, 2)
      assert.strictEqual(holderOf(script), "a")
      const closing = yield* a.close
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("a repeated notice of the old version does not call off the release of what is just being acquired", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(released())
      const old = script.current()
      script.setLatency("400 millis")
      const a = yield* start("a")
      yield* pass("500 millis")
      assert.strictEqual(of(script, "write", "a").length, 1)
      const closing = yield* a.close
      yield* pass("10 millis")
      yield* script.notify(old)
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
      assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 8)
      assert.strictEqual(entries(a, "started").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("a repeated notice of the old version does not call off the read of a shutdown in doubt", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(released())
      const old = script.current()
      script.watch("Silent")
      script.fault("write", { _tag: "AnswerLost" })
      const a = yield* start("a", { requestTimeout: "1 second" })
      yield* pass("1050 millis")
      script.setLatency("400 millis")
      const closing = yield* a.close
      yield* pass("100 millis")
      yield* script.notify(old)
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("a lock whose requests cannot be interrupted holds the program up for a request timeout at most", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held())
      const stuck = Effect.uninterruptible(Effect.never)
      const a = yield* start("a", { requestTimeout: "3 seconds", lock: (lock) => ({ ...lock, read: stuck }) })
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("2900 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* pass("100 millis")
      assert.isDefined(closing.pollUnsafe())
    }).pipe(lockIsGiven)
  )

  it.effect("an interruption of the layer while it is being built, wherever it is, does not hang", () =>
    Effect.gen(function* () {
      for (let ops = 2; ops <= 250; ops++) {
        const building = yield* layer("a").pipe(
          Layer.build,
          Effect.scoped,
          Effect.provideService(Scheduler.MaxOpsBeforeYield, ops),
          Effect.forkDetach({ startImmediately: true })
        )
        building.interruptUnsafe()
        for (let waited = 0; waited < 50 && building.pollUnsafe() === undefined; waited++) yield* pass("100 millis")
        assert.isDefined(building.pollUnsafe(), `interrupted after ${ops} operations`)
      }
    }).pipe(lockIsGiven)
  )
})

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
