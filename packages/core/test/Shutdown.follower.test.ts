import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Scheduler } from "effect"
import { entries, layer, pass, start } from "./Candidate.ts"
import { held, holderOf, of, released, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

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
