import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Duration, Effect, Option } from "effect"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { conflict, of, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("holder", () => {
  it.effect("rule 1: validity counts from the send of a write, not from its answer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.fault("write", { _tag: "AnswerLate", by: "1500 millis" })
      yield* pass("2600 millis")
      // Sent at 2 s, answered at 3.5 s, and now it is 3.6 s.
      const sent = of(script, "write", "a").at(-1)?.at ?? Infinity
      assert.isAtMost(sent, 2004)
      const remaining = yield* Effect.flatMap(a.term, (term) => term.remaining)
      assert.strictEqual(Math.ceil(Duration.toMillis(remaining)), 10_000 - (3600 - sent))
      // And so the next deadline: nothing more succeeds.
      script.fault("write", { _tag: "Lost" }, 1000)
      yield* pass("20 seconds")
      assert.strictEqual(entries(a, "stopping")[0]?.at, sent + 10_000)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: the validity of a new term counts from the send of the write that acquired the lock", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.fault("write", { _tag: "AnswerLate", by: "1500 millis" })
      const a = yield* start("a")
      yield* pass("1600 millis")
      const sent = of(script, "write", "a")[0]?.at ?? Infinity
      const remaining = yield* Effect.flatMap(a.term, (term) => term.remaining)
      assert.strictEqual(Math.ceil(Duration.toMillis(remaining)), 10_000 - (1600 - sent))
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: reading one's own record does not extend the term", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      // Every renewal fails, while the record is edited and noticed as our own all the time.
      script.fault("write", { _tag: "Lost" }, 1000)
      yield* Effect.repeat(Effect.andThen(script.touch, pass("1 second")), { times: 11 })
      const term = yield* a.leadership
      assert.notStrictEqual(term._tag, "Leading")
      assert.strictEqual(entries(a, "stopping").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a renewal is one write every retry period and no read", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* start("a")
      yield* pass("1 second")
      const reads = script.requests.filter((request) => request.kind === "read").length
      const sends = of(script, "write", "a").length
      yield* pass("20 seconds")
      const renewals = of(script, "write", "a").slice(sends)
      assert.strictEqual(renewals.length, 10)
      for (const [index, renewal] of renewals.entries()) {
        if (index > 0) assert.strictEqual(renewal.at - (renewals[index - 1]?.at ?? 0), 2000)
      }
      assert.strictEqual(script.requests.filter((request) => request.kind === "read").length, reads)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a renewal differs from the former record even where the wall clock shows the same time", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      yield* start("a", { clock: time.clock })
      yield* pass("1 second")
      const seen: Array<number> = []
      for (const _ of [1, 2, 3]) {
        time.step(-2000)
        yield* pass("2 seconds")
        seen.push(DateTime.toEpochMillis(Option.getOrThrow(script.current().record).renewedAt))
      }
      for (const [index, at] of seen.entries()) if (index > 0) assert.notStrictEqual(at, seen[index - 1])
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a failed renewal is retried soon, and leadership goes on", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.fault("write", unavailable(), 3)
      yield* pass("3 seconds")
      assert.isAtLeast(of(script, "write", "a").length, 4)
      yield* pass("30 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: Retry-After is honoured as far as the deadline allows", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const before = of(script, "write", "a").length
      script.fault("write", unavailable({ retryAfter: Duration.seconds(5) }))
      yield* pass("6 seconds")
      assert.strictEqual(of(script, "write", "a").length, before + 1)
      yield* pass("1500 millis")
      assert.strictEqual(of(script, "write", "a").length, before + 2)
      // One that reaches beyond the deadline leaves the last try that can still be answered.
      const healthy = of(script, "write", "a").at(-1)?.at ?? 0
      script.fault("write", unavailable({ retryAfter: Duration.minutes(5) }))
      yield* pass("20 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
      const sends = of(script, "write", "a").map((request) => request.at - healthy)
      assert.include(sends, 7500)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 5: an answer after the deadline does not restore leadership", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      const a = yield* start("a", { clock: time.clock })
      yield* pass("1 second")
      // The process is stopped while its renewal is under way; timers and answers come only when it goes on.
      script.fault("write", { _tag: "AnswerLate", by: "1 second" }, 1000)
      yield* pass("1500 millis")
      const ticks = entries(a, "tick").length
      yield* time.freeze
      yield* pass("20 seconds")
      yield* time.thaw
      yield* pass("1 millis")
      assert.strictEqual(entries(a, "tick").length, ticks)
      assert.strictEqual(entries(a, "stopping").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 5: a write that timed out but happened is adopted and written again", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.watch("Silent")
      script.fault("write", { _tag: "AnswerLost" })
      const reads = script.requests.filter((request) => request.kind === "read").length
      yield* pass("10 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
      assert.strictEqual(script.requests.filter((request) => request.kind === "read").length, reads + 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 6: a conflict with one's own record is adopted and written again in the same round", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.watch("Silent")
      yield* script.touch
      yield* pass("2 seconds")
      const [conflict, again] = of(script, "write", "a").slice(-2)
      assert.strictEqual(conflict?.at, again?.at)
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 6: a lock that answers every write with a conflict is not stormed", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.requests.length = 0
      script.fault("write", conflict, 100_000)
      yield* pass("9 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.isAtMost(script.requests.length, 20)
      yield* pass("1 minute")
      assert.isFalse(yield* a.election.isLeader)
      // Neither by the candidate that it has become: a read and a write every retry period.
      assert.isAtMost(script.requests.length, 120)
      script.heal()
      yield* pass("20 seconds")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 6: a lease that somebody shortened is written again at once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const record = Option.getOrThrow(script.current().record)
      yield* script.put({ ...record, leaseDuration: Duration.seconds(1) })
      yield* pass("1 millis")
      const healed = Option.getOrThrow(script.current().record)
      assert.strictEqual(Duration.toSeconds(healed.leaseDuration), 15)
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a request that is under way at the deadline is given up there", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const givenUp: Array<number> = []
      // Without ticks, whose guards would find the deadline, too.
      const a = yield* start("a", {
        every: "1 hour",
        requestTimeout: "4 seconds",
        lock: (lock) => ({
          ...lock,
          write: (expected, next) =>
            Effect.onInterrupt(lock.write(expected, next), () =>
              Effect.map(Clock.currentTimeMillis, (at) => givenUp.push(at))
            )
        })
      })
      yield* pass("1 second")
      const sent = of(script, "write", "a").at(-1)?.at ?? Infinity
      script.fault("write", { _tag: "Lost" }, 1000)
      yield* pass("11 seconds")
      assert.strictEqual(entries(a, "stopping")[0]?.at, sent + 10_000)
      const last = of(script, "write", "a").findLast((request) => request.at < sent + 10_000)
      assert.isAbove(last?.at ?? 0, sent + 6000)
      assert.include(givenUp, sent + 10_000)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 6: an edit that the watch already told of is renewed without a read", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const sent = of(script, "write", "a").length
      script.setLatency("400 millis")
      yield* pass("1100 millis")
      assert.strictEqual(of(script, "write", "a").length, sent + 1)
      script.requests.length = 0
      yield* script.touch
      yield* pass("600 millis")
      assert.deepStrictEqual(
        script.requests.map((request) => request.kind),
        ["write"]
      )
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect(
    "rule 6: after an edit that was told before the answer of a renewal, the next renewal does not conflict",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedLock
        const a = yield* start("a")
        yield* pass("1 second")
        script.fault("write", { _tag: "AnswerLate", by: "500 millis" })
        yield* pass("1100 millis")
        yield* script.touch
        yield* pass("1 second")
        script.requests.length = 0
        yield* pass("4 seconds")
        assert.deepStrictEqual(
          script.requests.map((request) => request.kind),
          ["write", "write"]
        )
        assert.isTrue(yield* a.election.isLeader)
      }).pipe(lockIsGiven)
  )
})
