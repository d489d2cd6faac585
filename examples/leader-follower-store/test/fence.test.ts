/**
 * What a leader does whose token the store refuses, and one that cannot reach it, in virtual time.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as Fence from "../src/Fence.ts"
import { StaleToken, Store, StoreError } from "../src/Store.ts"

const newest = 1_000_000n

const refuseBelow = (newest: () => bigint) => (token: bigint) =>
  token < newest() ? Effect.fail(new StaleToken({ token, newest: newest() })) : Effect.void

/** One pod over a store that answers so to a token; returns when it was asked, in seconds, and with which token. */
const start = Effect.fnUntraced(function* (answer: (token: bigint) => Effect.Effect<void, StaleToken | StoreError>) {
  const asked: Array<{ readonly at: number; readonly token: bigint }> = []
  const store = Layer.mock(Store, {
    raise: (token) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        asked.push({ at: now / 1_000, token })
        return answer(token)
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
  return asked
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
      const terms = yield* start(refuseBelow(() => newest))
      yield* pass(600)
      const gaps = terms.slice(1).map(({ at }, index) => at - (terms[index]?.at ?? 0))
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
      const terms = yield* start(refuseBelow(() => fence))
      yield* pass(120)
      fence = 0n
      yield* pass(60)
      const accepted = terms.length
      fence = newest
      yield* pass(12)
      assert.isAtLeast(terms.length, accepted + 2, "refused, given back at once, and refused again")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect(
    "gives the lock back as well when the store has not answered for a while, and not at the first failure",
    () =>
      Effect.gen(function* () {
        let isDown = false
        const down = new StoreError({ store: "the store", operation: "raise", detail: "no connection" })
        const asked = yield* start(() => (isDown ? Effect.fail(down) : Effect.void))
        const tokens = () => new Set(asked.map(({ token }) => token)).size
        yield* pass(20)
        assert.strictEqual(tokens(), 1)
        isDown = true
        yield* pass(9)
        isDown = false
        yield* pass(20)
        assert.strictEqual(tokens(), 1, "it was down for some seconds")
        isDown = true
        yield* pass(600)
        assert.isAtLeast(tokens(), 10)
        assert.isAtMost(tokens(), 25)
      }).pipe(Effect.provide(Logger.layer([])))
  )
})
