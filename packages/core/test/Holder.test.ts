import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Option, Stream, SubscriptionRef } from "effect"
import { LeaseLock } from "../src/index.ts"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

const unavailable = (options: ConstructorParameters<typeof LeaseLock.Unavailable>[0] = {}) =>
  ({ _tag: "Fail", reason: new LeaseLock.Unavailable(options) }) as const

const foreign = (holder: string, transitions = 7): LeaseLock.LeaseRecord => ({
  holder: Option.some(holder),
  leaseDuration: Duration.seconds(15),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(0),
  transitions
})

const writesOf = (script: ScriptedLock["Service"], by: string) =>
  script.requests.filter((request) => request.kind === "write" && request.by === by)

describe("holder", () => {
  it.effect("rule 1: validity counts from the send of a write, not from its answer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const before = writesOf(script, "a").length
      script.fault("write", { _tag: "AnswerLate", by: "2 seconds" })
      yield* pass("4 seconds")
      const renewal = writesOf(script, "a")[before]
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      const sent = writesOf(script, "a").at(-1)
      assert.isDefined(renewal)
      assert.isDefined(sent)
      const remaining = yield* Effect.flatMap(a.term, (term) => term.remaining)
      assert.strictEqual(Duration.toMillis(remaining), 10_000 - (now - sent.at))
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
      const sends = writesOf(script, "a").length
      yield* pass("20 seconds")
      const renewals = writesOf(script, "a").slice(sends)
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
      assert.isAtLeast(writesOf(script, "a").length, 4)
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
      const before = writesOf(script, "a").length
      script.fault("write", unavailable({ retryAfter: Duration.seconds(5) }))
      yield* pass("6 seconds")
      assert.strictEqual(writesOf(script, "a").length, before + 1)
      yield* pass("1500 millis")
      assert.strictEqual(writesOf(script, "a").length, before + 2)
      // One that reaches beyond the deadline leaves the last try that can still be answered.
      const healthy = writesOf(script, "a").at(-1)?.at ?? 0
      script.fault("write", unavailable({ retryAfter: Duration.minutes(5) }))
      yield* pass("20 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
      const sends = writesOf(script, "a").map((request) => request.at - healthy)
      assert.include(sends, 7500)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 3: at the deadline all work is interrupted at once, and no answer is waited for", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      const stopped: Array<number> = []
      for (const _ of [1, 2, 3]) {
        const slowCleanup = Effect.onExit(Effect.never, () =>
          Effect.delay(
            Effect.clockWith((clock) => Effect.map(clock.currentTimeMillis, (at) => stopped.push(at))),
            "2 seconds"
          )
        )
        yield* Effect.forkDetach(a.election.whileLeading(slowCleanup))
      }
      yield* pass("1 second")
      script.fault("write", { _tag: "Lost" }, 1000)
      script.fault("read", { _tag: "Lost" }, 1000)
      const lastSuccess = writesOf(script, "a").at(-1)?.at ?? 0
      yield* pass("30 seconds")
      assert.deepStrictEqual(
        entries(a, "stopping").map((entry) => entry.at - lastSuccess),
        [10_000]
      )
      // Together, not one after another.
      assert.deepStrictEqual(
        stopped.map((at) => at - lastSuccess),
        [12_000, 12_000, 12_000]
      )
    }).pipe(lockIsGiven)
  )

  it.effect("rule 3: work that outlives the lease is an overrun, told once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const overruns: Array<{ running: number; at: number }> = []
      const a = yield* start("a", {
        cleanup: "10 seconds",
        onOverrun: ({ running }) =>
          Effect.clockWith((clock) =>
            Effect.map(clock.currentTimeMillis, (at) => {
              overruns.push({ running, at })
            })
          )
      })
      yield* pass("1 second")
      const lastSuccess = writesOf(script, "a").at(-1)?.at ?? 0
      script.fault("write", { _tag: "Lost" }, 1000)
      yield* pass("60 seconds")
      assert.strictEqual(overruns.length, 1)
      assert.strictEqual(overruns[0]?.running, 1)
      // S = 15 s x 0.99 / 1.01
      assert.strictEqual((overruns[0]?.at ?? 0) - lastSuccess, 14_703)
      assert.strictEqual(entries(a, "stopped").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a foreign holder is a loss now, not at the deadline", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.put(foreign("b"))
      yield* pass("1 millis")
      assert.strictEqual(entries(a, "stopping").length, 1)
      assert.strictEqual(entries(a, "stopping")[0]?.at, 1000)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: another incarnation of the own identity is a loss", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.put({ ...foreign("a"), incarnation: "another" })
      yield* pass("1 millis")
      assert.strictEqual(entries(a, "stopping").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a deleted lock is a loss, and its former holder makes it anew", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "500 millis" })
      const ends: Array<string> = []
      yield* Stream.runForEach(SubscriptionRef.changes(a.election.leadership), (it) =>
        Effect.sync(() => {
          if (it._tag === "Draining") ends.push(it.end)
        })
      ).pipe(Effect.forkChild({ startImmediately: true }))
      yield* pass("1 second")
      yield* script.remove
      yield* pass("1 second")
      assert.deepStrictEqual(ends, ["LockDeleted"])
      assert.isTrue(yield* a.election.isLeader)
      const [first, second] = entries(a, "started")
      assert.isTrue((second?.token ?? 0n) > (first?.token ?? 0n))
      assert.isAtLeast(second?.at ?? 0, entries(a, "stopped")[0]?.at ?? Infinity)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a notice of the deletion counts though it has no fence of its own", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.notify({ record: Option.none(), version: "absent", fence: script.current().fence })
      yield* pass("1 millis")
      assert.strictEqual(entries(a, "stopping").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a lock deleted and made again with the same content is a loss", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.replace
      yield* pass("1 second")
      assert.strictEqual(entries(a, "stopping").length, 1)
      assert.strictEqual(entries(a, "started").length, 2)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a loss that the watch did not tell is found by the next renewal's conflict", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.watch("Silent")
      yield* script.put(foreign("b"))
      yield* pass("2 seconds")
      assert.strictEqual(entries(a, "stopping").length, 1)
      const leader = yield* a.election.leader
      assert.strictEqual(Option.getOrThrow(leader).identity, "b")
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
      const [conflict, again] = writesOf(script, "a").slice(-2)
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
      script.fault("write", { _tag: "Fail", reason: new LeaseLock.Conflict() }, 100_000)
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

  it.effect("rule 7: a shutdown renews while the work drains, and releases only after its last finalizer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "12 seconds", renewDeadline: "4 seconds", retryPeriod: "1 second" })
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("11 seconds")
      assert.strictEqual(Option.getOrThrow(script.current().record).holder.pipe(Option.getOrThrow), "a")
      yield* pass("2 seconds")
      yield* Fiber.join(closing)
      const released = Option.getOrThrow(script.current().record)
      assert.isTrue(Option.isNone(released.holder))
      assert.strictEqual(entries(a, "stopped").length, 1)
      assert.isAtLeast(DateTime.toEpochMillis(released.renewedAt), entries(a, "stopped")[0]?.at ?? Infinity)
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 7: a resignation ends the work, gives the lock back, rests, and competes again", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      yield* pass("1 second")
      const resigned = yield* Effect.forkChild(a.election.resign, { startImmediately: true })
      yield* pass("500 millis")
      const draining = yield* a.leadership
      assert.strictEqual(draining._tag === "Draining" ? draining.end : draining._tag, "Resigned")
      assert.isTrue(Option.isSome(Option.getOrThrow(script.current().record).holder))
      yield* pass("600 millis")
      yield* Fiber.join(resigned)
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
      // 1.2 retry periods and one request timeout, for a candidate that polls.
      yield* pass("4800 millis")
      assert.isFalse(yield* a.election.isLeader)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 7: work that does not drain in time loses the renewals, then the lease", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 hour", drainTimeout: "5 seconds" })
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("5 seconds")
      const sent = writesOf(script, "a").length
      yield* pass("30 seconds")
      assert.strictEqual(writesOf(script, "a").length, sent)
      assert.isTrue(Option.isSome(Option.getOrThrow(script.current().record).holder))
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
      yield* script.put(foreign("b"))
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(Option.getOrThrow(Option.getOrThrow(script.current().record).holder), "b")
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
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
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
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
    }).pipe(lockIsGiven)
  )

  it.effect("releaseOnShutdown: false leaves the lock to run out", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { releaseOnShutdown: false })
      yield* pass("1 second")
      yield* Effect.flatMap(a.close, Fiber.join)
      assert.strictEqual(Option.getOrThrow(Option.getOrThrow(script.current().record).holder), "a")
    }).pipe(lockIsGiven)
  )

  it.effect(
    "rule 8: a machine that was suspended is not a leader when it wakes, though its monotonic clock stood still",
    () =>
      Effect.gen(function* () {
        const time = yield* makeClock
        const a = yield* start("a", { clock: time.clock })
        yield* pass("1 second")
        const term = yield* a.term
        assert.isTrue(term.isValid())
        time.step(11_000)
        assert.isFalse(term.isValid())
        const refused = yield* Effect.flip(term.guard(Effect.void))
        assert.strictEqual(refused._tag, "NotLeading")
        yield* pass("1 millis")
        assert.strictEqual(entries(a, "stopping").length, 1)
      }).pipe(lockIsGiven)
  )

  it.effect("rule 8: what the monotonic clock missed in a suspension does not lengthen the term", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      const a = yield* start("a", { clock: time.clock })
      yield* pass("3 seconds")
      const lastSuccess = writesOf(script, "a").at(-1)?.at ?? 0
      script.fault("write", unavailable(), 1000)
      time.suspend(6000)
      yield* pass("20 seconds")
      const stopping = entries(a, "stopping")[0]?.at ?? Infinity
      assert.isAtMost(stopping - lastSuccess, 10_000)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 8: a wall clock that steps back does not bring a term to life again, nor keep one alive", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      const a = yield* start("a", { clock: time.clock })
      yield* pass("1 second")
      const term = yield* a.term
      time.step(11_000)
      assert.isFalse(term.isValid())
      time.step(-11_000)
      assert.isFalse(term.isValid())
      yield* pass("1 millis")
      assert.strictEqual(entries(a, "stopping").length, 1)
      yield* pass("1 second")
      const next = yield* a.term
      assert.isTrue(next.token > term.token)
      script.fault("write", { _tag: "Lost" }, 1000)
      time.step(-3_600_000)
      yield* pass("11 seconds")
      assert.isFalse(next.isValid())
    }).pipe(lockIsGiven)
  )
})
