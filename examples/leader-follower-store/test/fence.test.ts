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

interface Asked {
  readonly at: number
  readonly token: bigint
}

/** One pod over a store that answers so to a token; returns when it was asked, in seconds, and with which token. */
const start = Effect.fnUntraced(function* (answer: (token: bigint) => Effect.Effect<void, StaleToken | StoreError>) {
  const asked: Array<Asked> = []
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
  Effect.repeat(Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 30 }), TestClock.adjust("500 millis")), {
    times: seconds * 2
  })

/** When each term first came to the store, in seconds. */
const termsOf = (asked: ReadonlyArray<Asked>) =>
  asked.filter(({ token }, index) => asked.findIndex((it) => it.token === token) === index)

describe("a leader that the store refuses", () => {
  it.effect("gives the lock back at once, and later and later when it is refused again", () =>
    Effect.gen(function* () {
      const refused = Effect.map(Metric.value(Fence.refusedTerms), ({ count }) => count)
      const before = yield* refused
      const asked = yield* start(refuseBelow(() => newest))
      yield* pass(600)
      const terms = termsOf(asked)
      const gaps = terms.slice(1).map(({ at }, index) => at - (terms[index]?.at ?? 0))
      // The first time others may have what it takes; what remains is the rest after a resignation.
      assert.isBelow(gaps[0] ?? 0, 10)
      assert.isAtLeast(terms.length, 15)
      assert.isAtMost(terms.length, 25)
      assert.isAtLeast(Math.min(...gaps.slice(7)), 30)
      assert.strictEqual((yield* refused) - before, terms.length)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("leads on when the store takes its token after all, and has forgotten it five minutes later", () =>
    Effect.gen(function* () {
      let fence = newest
      const asked = yield* start(refuseBelow(() => fence))
      yield* pass(120)
      fence = 0n
      const inVain = termsOf(asked).length
      yield* pass(340)
      assert.isAtMost(termsOf(asked).length, inVain + 1)
      const { token } = asked.at(-1) ?? { token: 0n }
      fence = newest
      yield* pass(12)
      const after = new Set(asked.map((it) => it.token).filter((it) => it > token))
      assert.isAtLeast(after.size, 1, "refused, and given back at once")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("gives it back later and later also when its tokens are taken first: another election uses the store", () =>
    Effect.gen(function* () {
      let fence = 0n
      const asked = yield* start((token) => {
        if (token < fence) return Effect.fail(new StaleToken({ token, newest: fence }))
        fence = token
        return Effect.void
      })
      for (let second = 0; second < 600; second++) {
        yield* pass(1)
        // What the other leader writes has a newer token of the same count, until this one has a newer one again.
        if (second % 5 === 4) fence = (asked.at(-1)?.token ?? 0n) + 1n
      }
      assert.isAtLeast(termsOf(asked).length, 12)
      assert.isAtMost(termsOf(asked).length, 40)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("keeps the lock if the store takes its token before the time has come to give it back", () =>
    Effect.gen(function* () {
      let fence = newest
      const asked = yield* start(refuseBelow(() => fence))
      yield* pass(200)
      // It waits thirty seconds by now.
      while (termsOf(asked).at(-1)?.at !== asked.at(-1)?.at) yield* pass(1)
      yield* pass(5)
      const { token } = asked.at(-1) ?? { token: 0n }
      fence = 0n
      yield* pass(60)
      assert.deepStrictEqual(new Set(asked.slice(-20).map((it) => it.token)), new Set([token]))
    }).pipe(Effect.provide(Logger.layer([])))
  )

  for (const [what, fails] of [
    [
      "has not answered for a while",
      Effect.fail(new StoreError({ store: "the store", operation: "raise", detail: "?" }))
    ],
    ["fails in a way that nobody foresaw", Effect.die("no row")]
  ] as const) {
    it.effect(`gives the lock back as well when the store ${what}, and goes on when it is there again`, () =>
      Effect.gen(function* () {
        let isDown = false
        const asked = yield* start(() => (isDown ? fails : Effect.void))
        yield* pass(20)
        assert.strictEqual(termsOf(asked).length, 1)
        isDown = true
        yield* pass(600)
        const { length } = termsOf(asked)
        assert.isAtLeast(length, 10)
        assert.isAtMost(length, 25)
        isDown = false
        yield* pass(120)
        assert.isAtMost(termsOf(asked).length, length + 1)
        assert.isAtLeast(asked.at(-1)?.at ?? 0, 730, "it is asked on")
      }).pipe(Effect.provide(Logger.layer([])))
    )
  }

  it.effect("leads on over a store that was away for some seconds", () =>
    Effect.gen(function* () {
      let isDown = false
      const down = new StoreError({ store: "the store", operation: "raise", detail: "no connection" })
      const asked = yield* start(() => (isDown ? Effect.fail(down) : Effect.void))
      yield* pass(20)
      isDown = true
      yield* pass(9)
      isDown = false
      yield* pass(20)
      assert.strictEqual(termsOf(asked).length, 1)
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
