import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Option } from "effect"
import { entries, pass, start } from "./Candidate.ts"
import { conflict, held, holderOf, of, unavailable } from "./Records.ts"
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
