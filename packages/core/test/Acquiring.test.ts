import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Stream, SubscriptionRef } from "effect"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { held, holderOf, of, released, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("an acquiring write", () => {
  it.effect("a grant that took longer than the deadline is written once more before anything starts", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      script.fault("write", { _tag: "AnswerLate", by: "1 second" })
      const a = yield* start("a", { clock: time.clock })
      const led: Array<bigint> = []
      yield* Stream.runForEach(SubscriptionRef.changes(a.election.leadership), (it) =>
        Effect.sync(() => {
          if (it._tag === "Leading") led.push(it.term.token)
        })
      ).pipe(Effect.forkDetach({ startImmediately: true }))
      yield* pass("100 millis")
      // The machine sleeps between the request and its answer.
      time.step(60_000)
      yield* pass("2 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.isAtLeast(of(script, "write", "a").length, 2)
      assert.strictEqual(entries(a, "started")[0]?.token, 2n)
      assert.deepStrictEqual(led, [2n])
    }).pipe(lockIsGiven)
  )

  it.effect("an acquiring write whose answer was lost is found, written again, and counted once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.watch("Silent")
      script.fault("write", { _tag: "AnswerLost" })
      const a = yield* start("a")
      yield* pass("6 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 0)
    }).pipe(lockIsGiven)
  )

  it.effect(
    "one that failed may have happened: the lock is read before the next, and the transition counted once",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedLock
        yield* script.put(held({ lease: "3 seconds" }))
        script.watch("Silent")
        script.fault("write", { _tag: "AnswerLost" })
        const a = yield* start("a", { requestTimeout: "1 second" })
        yield* pass("5500 millis")
        assert.deepStrictEqual(
          script.requests.map((request) => request.kind),
          ["read", "write", "read", "write"]
        )
        assert.isTrue(yield* a.election.isLeader)
        assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 8)
      }).pipe(lockIsGiven)
  )

  it.effect("one that failed is no trouble any more once another holder was seen", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(released())
      script.fault("write", unavailable({ detail: "maintenance", retryAfter: Duration.seconds(20) }))
      const a = yield* start("a")
      yield* pass("1 second")
      const before = yield* a.leadership
      assert.include(before._tag === "Standby" ? Option.getOrThrow(before.trouble).message : before._tag, "maintenance")
      yield* script.put(held({ holder: "b" }))
      yield* pass("1 second")
      const after = yield* a.leadership
      assert.isTrue(after._tag === "Standby" && Option.isNone(after.trouble))
      assert.strictEqual(Option.getOrThrow(yield* a.election.leader).identity, "b")
    }).pipe(lockIsGiven)
  )

  it.effect("a grant of a lock that was deleted before the answer came starts nothing", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.fault("write", { _tag: "AnswerLate", by: "500 millis" })
      const a = yield* start("a")
      yield* pass("100 millis")
      assert.strictEqual(holderOf(script), "a")
      yield* script.remove
      yield* pass("14900 millis")
      assert.deepStrictEqual(a.journal, [])
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("a grant of a lock that was deleted and made again before the answer came is written once more first", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.fault("write", { _tag: "AnswerLate", by: "500 millis" })
      const a = yield* start("a")
      yield* pass("100 millis")
      yield* script.replace
      yield* pass("1 second")
      assert.deepStrictEqual(
        entries(a, "started").map((entry) => entry.token),
        [3n]
      )
      assert.deepStrictEqual(entries(a, "stopped"), [])
    }).pipe(lockIsGiven)
  )
})

describe("the same identity twice", () => {
  it.effect("the same identity twice: a record of another incarnation is foreign", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ holder: "a", incarnation: "before the restart" }))
      const a = yield* start("a")
      yield* pass("14900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 8)
    }).pipe(lockIsGiven)
  )

  it.effect("the same identity twice: reclaimOwn takes it over at once, and a namesake's only", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ holder: "a", incarnation: "before the restart" }))
      const a = yield* start("a", { reclaimOwn: true })
      yield* start("b", { reclaimOwn: true })
      yield* pass("5 millis")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(of(script, "write", "b").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("an incarnation beside another identity means nothing", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const own = Option.getOrThrow(script.current().record)
      // client-go took over and kept the annotation that it does not know.
      yield* script.put({ ...own, holder: Option.some("client-go") })
      yield* pass("1 second")
      assert.isFalse(yield* a.election.isLeader)
      assert.strictEqual(of(script, "write", "a").filter((request) => request.at > 1000).length, 0)
    }).pipe(lockIsGiven)
  )
})

describe("maxClockSkew", () => {
  it.effect("maxClockSkew: a record that ran out before the start is taken at once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* pass("1 minute")
      yield* script.put(held({ renewedAt: 60_000 - 15_000 - 5001 }))
      const a = yield* start("a", { maxClockSkew: "5 seconds" })
      yield* pass("5 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("maxClockSkew: one that may still be held by a clock within the skew is not", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* pass("1 minute")
      yield* script.put(held({ renewedAt: 60_000 - 15_000 - 4999 }))
      yield* start("a", { maxClockSkew: "5 seconds" })
      yield* pass("14900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("counts at the start only: a record that came later is observed, however old its time is", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* pass("1 minute")
      yield* script.put(held({ renewedAt: 60_000 }))
      const a = yield* start("a", { maxClockSkew: "5 seconds" })
      yield* pass("1 second")
      // Of a holder whose wall clock is a minute late.
      yield* script.put(held({ holder: "b", renewedAt: 1000 }))
      yield* pass("14900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )
})

describe("fencing", () => {
  it.effect("fencing: tokens grow with every acquisition, also across a deletion", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const b = yield* start("b")
      yield* pass("1 second")
      yield* Effect.forkChild(a.election.resign)
      yield* pass("1 second")
      yield* script.remove
      yield* pass("20 seconds")
      yield* Effect.forkChild(b.election.resign)
      yield* pass("20 seconds")
      const tokens = [...entries(a, "started"), ...entries(b, "started")]
        .toSorted((left, right) => left.at - right.at)
        .map((entry) => entry.token)
      assert.isAtLeast(tokens.length, 4)
      assert.deepStrictEqual(
        tokens,
        [...new Set(tokens)].toSorted((left, right) => Number(left - right))
      )
    }).pipe(lockIsGiven)
  )
})
