import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Option, Stream, SubscriptionRef } from "effect"
import { LeaderElection } from "../src/index.ts"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { held, of, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

const note = (log: Array<string>, what: string) => Effect.sync(() => log.push(what))

describe("loss", () => {
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
      const lastSuccess = of(script, "write", "a").at(-1)?.at ?? 0
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
      const lastSuccess = of(script, "write", "a").at(-1)?.at ?? 0
      script.fault("write", { _tag: "Lost" }, 1000)
      yield* pass("60 seconds")
      assert.strictEqual(overruns.length, 1)
      assert.strictEqual(overruns[0]?.running, 1)
      // S = 15 s x 0.99 / 1.01
      assert.strictEqual((overruns[0]?.at ?? 0) - lastSuccess, 14_703)
      assert.strictEqual(entries(a, "stopped").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 3: leadership says of an overrun until the work has ended", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "10 seconds" })
      yield* pass("1 second")
      const lastSuccess = of(script, "write", "a").at(-1)?.at ?? 0
      script.fault("write", { _tag: "Lost" }, 1000)
      const overrun = Effect.map(a.leadership, (it) => (it._tag === "Draining" ? it.overrun : it._tag))
      yield* pass(lastSuccess + 14_702 - (yield* Clock.currentTimeMillis))
      assert.strictEqual(yield* overrun, false)
      yield* pass("1 millis")
      assert.strictEqual(yield* overrun, true)
      yield* pass("10 seconds")
      assert.strictEqual(yield* overrun, "Standby")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: a foreign holder is a loss now, not at the deadline", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.put(held({ holder: "b" }))
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
      yield* script.put(held({ holder: "a", incarnation: "another" }))
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
      yield* script.put(held({ holder: "b" }))
      yield* pass("2 seconds")
      assert.strictEqual(entries(a, "stopping").length, 1)
      const leader = yield* a.election.leader
      assert.strictEqual(Option.getOrThrow(leader).identity, "b")
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: what a finalizer guards while the term drains is interrupted by a loss at once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      const log: Array<string> = []
      const flush = Effect.onInterrupt(Effect.delay(note(log, "flushed"), "5 seconds"), () => note(log, "cut off"))
      const work = Effect.gen(function* () {
        const term = yield* LeaderElection.Term
        yield* Effect.onExit(Effect.never, () =>
          Effect.ignore(Effect.tapError(term.guard(flush), (error) => note(log, error._tag)))
        )
      })
      yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("1 second")
      assert.deepStrictEqual(log, [])
      yield* script.put(held({ holder: "b", renewedAt: 2000 }))
      yield* pass("1 millis")
      assert.deepStrictEqual(log, ["cut off", "NotLeading"])
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: after a loss a finalizer can guard nothing", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      const log: Array<string> = []
      const work = Effect.gen(function* () {
        const term = yield* LeaderElection.Term
        const flush = Effect.tapError(term.guard(note(log, "flushed")), (error) => note(log, error._tag))
        yield* Effect.onExit(Effect.never, () => Effect.ignore(Effect.delay(flush, "1 second")))
      })
      yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      yield* script.put(held({ holder: "b" }))
      yield* pass("2 seconds")
      assert.deepStrictEqual(log, ["NotLeading"])
    }).pipe(lockIsGiven)
  )

  it.effect("rule 4: while the work of a lost term still stops, the new holder is told as the leader", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "2 seconds" })
      yield* pass("1 second")
      yield* script.put(held({ holder: "b" }))
      yield* pass("1 second")
      const leadership = yield* a.leadership
      assert.strictEqual(leadership._tag === "Draining" ? leadership.end : leadership._tag, "Superseded")
      assert.strictEqual(Option.getOrThrow(yield* a.election.leader).identity, "b")
      assert.isFalse(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )
})

describe("the clocks of a holder", () => {
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
      const a = yield* start("a", { clock: time.clock, every: "1 hour" })
      yield* pass("3 seconds")
      const lastSuccess = of(script, "write", "a").at(-1)?.at ?? 0
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
