/**
 * What a faulty lock does to requests and notices.
 */
import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Duration, Effect, Exit, Fiber, Layer, Option, Random, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CandidateClock, FaultyLock } from "../src/index.ts"

const record: LeaseLock.LeaseRecord = {
  holder: Option.some("a"),
  leaseDuration: Duration.seconds(15),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(0),
  transitions: 0
}

const Live = FaultyLock.layer.pipe(Layer.provideMerge(FaultyLock.layerRegister()))

/** A lock with faults over a register, and the result of a write so long after it was sent. */
const given = Effect.gen(function* () {
  const lock = yield* LeaseLock.LeaseLock
  const faults = yield* FaultyLock.FaultyLock
  const register = yield* FaultyLock.Register
  const writeFor = Effect.fnUntraced(function* (millis: number) {
    const fiber = yield* Effect.forkChild(lock.write(register.current(), record), { startImmediately: true })
    yield* TestClock.adjust(millis)
    const exit = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    return exit === undefined ? "no answer" : Exit.isSuccess(exit) ? "written" : "failed"
  })
  const notices: Array<string> = []
  const watch = Stream.suspend(() => lock.changes(register.current())).pipe(
    Stream.runForEach((it) => Effect.sync(() => notices.push(it.version))),
    Effect.exit,
    Effect.tap((exit) => Effect.sync(() => notices.push(Exit.isSuccess(exit) ? "end" : "error"))),
    Effect.forkChild({ startImmediately: true })
  )
  return { lock, faults, register, writeFor, notices, watch }
})

describe("a request", () => {
  const cases: ReadonlyArray<readonly [FaultyLock.Fault | undefined, string, string]> = [
    [undefined, "written", "1"],
    [{ _tag: "RequestLost" }, "no answer", "0"],
    [{ _tag: "AnswerLost" }, "no answer", "1"],
    [{ _tag: "AnswerLate", by: "2 seconds" }, "no answer", "1"],
    [{ _tag: "AnswerLate", by: "500 millis" }, "written", "1"],
    [{ _tag: "RequestLate", by: "2 seconds" }, "no answer", "0"],
    [{ _tag: "Refused" }, "failed", "0"],
    [{ _tag: "AnswerRefused" }, "failed", "1"]
  ]
  for (const [fault, result, version] of cases) {
    it.effect(`${JSON.stringify(fault ?? "without a fault")}: ${result}, version ${version} is there`, () =>
      Effect.gen(function* () {
        const { faults, register, writeFor } = yield* given
        if (fault !== undefined) yield* faults.next("write", fault)
        assert.strictEqual(yield* writeFor(1000), result)
        assert.strictEqual(register.current().version, version)
        assert.strictEqual(faults.open(), 0)
      }).pipe(Effect.provide(Live))
    )
  }

  it.effect("that is late arrives although its sender has given up", () =>
    Effect.gen(function* () {
      const { faults, register, writeFor } = yield* given
      yield* faults.next("write", { _tag: "RequestLate", by: "2 seconds" })
      assert.strictEqual(yield* writeFor(1000), "no answer")
      yield* TestClock.adjust(1010)
      assert.strictEqual(register.current().version, "1")
    }).pipe(Effect.provide(Live))
  )

  it.effect("of a process that stands still is carried out, and its answer read when that goes on", () =>
    Effect.gen(function* () {
      const time = yield* CandidateClock.make()
      const { lock, register } = yield* given
      const fiber = yield* lock
        .write(register.current(), record)
        .pipe(Effect.provideService(Clock.Clock, time.clock), Effect.forkChild({ startImmediately: true }))
      yield* time.freeze
      yield* TestClock.adjust(1000)
      assert.strictEqual(register.current().version, "1")
      assert.isUndefined(fiber.pollUnsafe())
      yield* time.thaw
      yield* TestClock.adjust(0)
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(Live))
  )

  it.effect("meets the same chances under the same seed", () =>
    Effect.gen(function* () {
      const once = Effect.gen(function* () {
        const { faults, writeFor } = yield* given
        yield* faults.set({ chances: { RequestLost: 0.3, AnswerLost: 0.3, Refused: 0.3 } })
        for (let i = 0; i < 30; i += 1) yield* writeFor(100)
        return faults.requests().map(({ fault }) => fault)
      }).pipe(Effect.provide(Layer.fresh(Live)), Random.withSeed(7))
      const first = yield* once
      assert.deepStrictEqual(yield* once, first)
      assert.strictEqual(new Set(first).size, 4)
    })
  )
})

describe("a watch", () => {
  const told = (chances: FaultyLock.Conditions["chances"]) =>
    Effect.gen(function* () {
      const { faults, notices, register, watch } = yield* given
      yield* faults.set({ chances, lateness: ["2 seconds", "2 seconds"] })
      yield* register.put(record)
      yield* watch
      for (let i = 0; i < 2; i += 1) {
        yield* TestClock.adjust(100)
        yield* register.edit
      }
      yield* TestClock.adjust(100)
      return notices
    }).pipe(Effect.provide(Live))

  it.effect("tells of every change", () =>
    Effect.map(told({}), (notices) => assert.deepStrictEqual(notices, ["2", "3"]))
  )
  it.effect("is silent", () => Effect.map(told({ NoticeLost: 1 }), (notices) => assert.deepStrictEqual(notices, [])))
  it.effect("lags", () => Effect.map(told({ NoticeLate: 1 }), (notices) => assert.deepStrictEqual(notices, [])))
  it.effect("repeats", () =>
    Effect.map(told({ NoticeRepeated: 1 }), (notices) => assert.deepStrictEqual(notices, ["2", "2", "3", "3"]))
  )
  it.effect("tells what is over", () =>
    Effect.map(told({ NoticeStale: 1 }), (notices) => assert.deepStrictEqual(notices, ["2", "3", "2"]))
  )
  it.effect("ends", () =>
    Effect.map(told({ WatchEnds: 1 }), (notices) => assert.deepStrictEqual(notices, ["2", "end"]))
  )

  it.effect("is ended, with an error or without, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { faults, notices, watch } = yield* given
      yield* watch
      yield* TestClock.adjust(10)
      yield* watch
      yield* TestClock.adjust(10)
      assert.strictEqual(faults.open(), 2)
      yield* faults.endWatches(new LeaseLock.Unavailable())
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(notices, ["error", "error"])
      assert.strictEqual(faults.open(), 0)
    }).pipe(Effect.provide(Live))
  )
})

describe("third parties", () => {
  it.effect("edit, delete, make again: versions grow, and a new life has a new uid", () =>
    Effect.gen(function* () {
      const { register } = yield* given
      yield* register.put(record)
      const first = register.current()
      yield* register.edit
      assert.strictEqual(register.current().uid, first.uid)
      yield* register.recreate
      assert.notStrictEqual(register.current().uid, first.uid)
      assert.deepStrictEqual(register.current().record, first.record)
      yield* register.remove
      assert.isTrue(Option.isNone(register.current().record))
      assert.isAbove(Number(register.current().fence), 4)
    }).pipe(Effect.provide(Live))
  )
})
