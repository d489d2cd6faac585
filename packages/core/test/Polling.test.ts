import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Stream, SubscriptionRef } from "effect"
import { LeaseLock } from "../src/index.ts"
import { entries, pass, start } from "./Candidate.ts"
import type { Lock } from "./Candidate.ts"
import { held, of, released, unavailable, withChance } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("rule 4 of the follower", () => {
  it.effect("rule 4: an idle follower sends nothing while the watch tells of renewals", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* start("a")
      yield* pass("1 second")
      yield* start("b")
      yield* pass("1 second")
      const sent = script.requests.filter((request) => request.by === "b").length
      yield* pass("60 seconds")
      assert.strictEqual(script.requests.filter((request) => request.by === "b").length, sent)
      assert.deepStrictEqual(script.watches, ["a", "b"])
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: while the watch is down it polls, and follows the watch again once it is back", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* start("a")
      yield* pass("1 second")
      yield* start("b")
      yield* pass("1 second")
      yield* script.endWatches(new LeaseLock.Unavailable({ detail: "410" }))
      yield* pass("10 seconds")
      const polls = of(script, "read", "b").length
      assert.isAtLeast(polls, 2)
      assert.isAtLeast(script.watches.filter((by) => by === "b").length, 2)
      yield* pass("20 seconds")
      assert.strictEqual(of(script, "read", "b").length, polls)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a watch that cannot be opened is polled around, and tried ever less often", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const b = yield* start("b")
      yield* pass("1 second")
      for (let renewal = 1; renewal <= 60; renewal++) {
        yield* script.endWatches(new LeaseLock.Denied({ detail: "no watch" }))
        yield* script.put(held({ renewedAt: renewal * 1000 }))
        yield* pass("1 second")
      }
      assert.isAtLeast(of(script, "read", "b").length, 20)
      assert.isAtMost(script.watches.length, 8)
      assert.strictEqual(entries(b, "started").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect(
    "a watch that is refused does not stand between a candidate and the lock, and hides nothing that does",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedLock
        yield* script.put(held({ lease: "1 day" }))
        const b = yield* start("b")
        yield* pass("1 second")
        const trouble = Effect.map(SubscriptionRef.get(b.election.leadership), (it) =>
          it._tag === "Standby" ? Option.map(it.trouble, ({ reason }) => reason.detail) : Option.none()
        )
        yield* script.endWatches(new LeaseLock.Denied({ detail: "no watch" }))
        yield* pass("1 second")
        assert.deepStrictEqual(yield* trouble, Option.none())
        script.fault("read", { _tag: "Fail", reason: new LeaseLock.Denied({ detail: "no read" }) }, 100)
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* trouble, Option.some("no read"))
        yield* script.endWatches(new LeaseLock.Denied({ detail: "no watch" }))
        yield* pass("10 millis")
        assert.deepStrictEqual(yield* trouble, Option.some("no read"))
        script.heal()
        yield* pass("1 minute")
        assert.deepStrictEqual(yield* trouble, Option.none())
      }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a silent watch is found out by a poll, and replaced", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const b = yield* start("b")
      yield* pass("1 second")
      script.watch("Silent")
      yield* script.put(released())
      yield* pass("7 seconds")
      assert.isTrue(yield* b.election.isLeader)
      assert.isAtLeast(script.watches.length, 2)
    }).pipe(lockIsGiven)
  )

  it.effect("polls of different candidates fall apart: their intervals are jittered", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: "1 day" }))
      const denied = new LeaseLock.LockError({
        lock: "test/lock",
        reason: new LeaseLock.Denied({ detail: "no watch" })
      })
      const lock = (own: Lock): Lock => ({ ...own, changes: () => Stream.fail(denied) })
      yield* start("early", { lock }).pipe(withChance(0))
      yield* start("late", { lock }).pipe(withChance(0.999))
      yield* pass("10 minutes")
      const usual = (by: string) => {
        const at = of(script, "read", by).map((request) => request.at)
        const intervals = at.map((it, index) => it - (at[index - 1] ?? 0)).toSorted((x, y) => x - y)
        return intervals[Math.floor(intervals.length / 2)]
      }
      assert.strictEqual(usual("early"), 1600)
      assert.strictEqual(usual("late"), 2400)
    }).pipe(lockIsGiven)
  )

  it.effect("a poll answered after a newer notice does not bring the old record back", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held())
      const a = yield* start("a").pipe(withChance(0.99))
      yield* pass("5500 millis")
      // Sent at 6 s, and answered with the old record at 7 s, between the notice of the release and the attempt.
      script.fault("read", { _tag: "AnswerLate", by: "1 second" })
      yield* pass("1498 millis")
      assert.strictEqual(of(script, "read", "a").length, 2)
      yield* script.put(released({ at: 6998 }))
      yield* pass("10 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("a server that asks a poll to be left alone is not sent a takeover either", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held())
      const a = yield* start("a")
      yield* pass("7 seconds")
      // The poll at 12 s; the record runs out at 15 s.
      script.fault("read", unavailable({ retryAfter: Duration.seconds(10) }))
      yield* pass("14900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("a watch that ends now and then is back soon each time, if it told something in between", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: "1 hour" }))
      yield* start("a")
      yield* pass("1 second")
      for (let round = 1; round <= 8; round++) {
        yield* script.endWatches(new LeaseLock.Unavailable({}))
        yield* pass("5 seconds")
        assert.strictEqual(script.watches.length, 1 + round)
        yield* script.put(held({ lease: "1 hour", renewedAt: round }))
        yield* pass("1 second")
      }
    }).pipe(lockIsGiven)
  )
})
