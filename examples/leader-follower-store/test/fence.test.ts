/**
 * What a leader does whose token the store refuses, in virtual time.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as Fence from "../src/Fence.ts"
import { StaleToken, Store } from "../src/Store.ts"

const newest = 1_000_000n

/** One pod over a store whose newest token is `newest()`; returns when each term came to it, in seconds. */
const start = Effect.fnUntraced(function* (newest: () => bigint) {
  const terms: Array<number> = []
  const store = Layer.mock(Store, {
    raise: (token) =>
      Effect.gen(function* () {
        const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        terms.push(now / 1_000)
        if (token < newest()) return yield* new StaleToken({ token, newest: newest() })
      })
  })
  yield* Layer.build(
    Fence.layer.pipe(
      Layer.provide(store),
      Layer.provide(
        LeaderElection.layer({
          identity: "a",
          leaseDuration: "10 seconds",
          renewDeadline: "5 seconds",
          retryPeriod: "2 seconds"
        })
      ),
      Layer.provide(LeaseLock.layerMemory())
    )
  )
  return terms
})

/** What has begun goes as far as it can, and then time passes. */
const pass = (seconds: number) =>
  Effect.repeat(Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), TestClock.adjust("500 millis")), {
    times: seconds * 2
  })

describe("a leader that the store refuses", () => {
  it.effect("gives the lock back at once, and later and later when it is refused again", () =>
    Effect.gen(function* () {
      const refused = Effect.map(Metric.value(Fence.refusedTerms), ({ count }) => count)
      const before = yield* refused
      const terms = yield* start(() => newest)
      yield* pass(600)
      const gaps = terms.slice(1).map((at, index) => at - (terms[index] ?? 0))
      // The first time others may have what it takes; what remains is the rest after a resignation.
      assert.isBelow(gaps[0] ?? 0, 10)
      assert.isAtLeast(terms.length, 15)
      assert.isAtMost(terms.length, 25)
      assert.isAtLeast(Math.min(...gaps.slice(7)), 30)
      assert.strictEqual((yield* refused) - before, terms.length)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("leads on when the store takes its token, and is patient no longer than before", () =>
    Effect.gen(function* () {
      let fence = newest
      const terms = yield* start(() => fence)
      yield* pass(120)
      fence = 0n
      yield* pass(60)
      const accepted = terms.length
      fence = newest
      yield* pass(12)
      assert.isAtLeast(terms.length, accepted + 2, "refused, given back at once, and refused again")
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
