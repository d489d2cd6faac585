/**
 * A candidate's own time over the time of the test.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { CandidateClock } from "../src/index.ts"

/** Both clocks in milliseconds since the start, and what the sleepers have done. */
const watch = Effect.fnUntraced(function* (options: CandidateClock.Options = {}) {
  const time = yield* CandidateClock.make(options)
  const woken: Array<string> = []
  const sleeper = (name: string, millis: number) =>
    Effect.sleep(millis).pipe(
      Effect.andThen(Effect.sync(() => woken.push(name))),
      Effect.provideService(Clock.Clock, time.clock),
      Effect.forkChild({ startImmediately: true })
    )
  const monotonic = () => Number(time.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const wall = () => Math.round(time.clock.currentTimeMillisUnsafe())
  return { time, woken, sleeper, monotonic, wall }
})

describe("CandidateClock", () => {
  it.effect("runs at its own rate, and its sleeps with it", () =>
    Effect.gen(function* () {
      const { monotonic, sleeper, wall, woken } = yield* watch({ rate: 1.25, offset: 5000 })
      yield* sleeper("ten", 10_000)
      yield* TestClock.adjust(7999)
      assert.deepStrictEqual(woken, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(woken, ["ten"])
      assert.strictEqual(monotonic(), 10_000)
      assert.strictEqual(wall(), 15_000)
    })
  )

  it.effect("is set without anything else noticing", () =>
    Effect.gen(function* () {
      const { monotonic, sleeper, time, wall, woken } = yield* watch()
      yield* sleeper("ten", 10)
      yield* time.setWall(-3_600_000)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual([wall(), monotonic(), woken], [-3_599_990, 10, ["ten"]])
    })
  )

  it.effect("fires no timer while frozen; what was due fires when it goes on, in order", () =>
    Effect.gen(function* () {
      const { monotonic, sleeper, time, woken } = yield* watch()
      yield* sleeper("later", 20)
      yield* sleeper("sooner", 10)
      yield* sleeper("after", 150)
      yield* time.freeze
      yield* TestClock.adjust(100)
      assert.deepStrictEqual([woken, monotonic(), time.condition()], [[], 100, "Frozen"])
      yield* time.thaw
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(woken, ["sooner", "later"])
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(woken, ["sooner", "later", "after"])
      assert.strictEqual(time.timers(), 0)
    })
  )

  it.effect("stands still on the monotonic clock while suspended, and its timers with it", () =>
    Effect.gen(function* () {
      const { monotonic, sleeper, time, wall, woken } = yield* watch()
      yield* sleeper("ten", 10)
      yield* TestClock.adjust(4)
      yield* time.suspend
      yield* TestClock.adjust(1000)
      yield* time.thaw
      yield* TestClock.adjust(5)
      assert.deepStrictEqual([woken, monotonic(), wall()], [[], 9, 1009])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(woken, ["ten"])
    })
  )

  it.effect("knows the true time beneath it", () =>
    Effect.gen(function* () {
      const { time } = yield* watch({ rate: 2 })
      const beneath = yield* Effect.provideService(CandidateClock.trueClock, Clock.Clock, time.clock)
      assert.strictEqual(beneath, yield* Clock.Clock)
      assert.strictEqual(yield* CandidateClock.trueClock, beneath)
    })
  )
})
