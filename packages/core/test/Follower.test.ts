import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Option, Random } from "effect"
import { LeaseLock } from "../src/index.ts"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

const held = (options: {
  readonly holder?: string
  readonly seconds?: number
  readonly renewedAt?: number
  readonly incarnation?: string
}): LeaseLock.LeaseRecord => ({
  holder: Option.some(options.holder ?? "other"),
  ...(options.incarnation === undefined ? {} : { incarnation: options.incarnation }),
  leaseDuration: Duration.seconds(options.seconds ?? 15),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(options.renewedAt ?? 0),
  transitions: 7
})

const released = (options: { readonly holder?: Option.Option<string> } = {}): LeaseLock.LeaseRecord => ({
  holder: options.holder ?? Option.none(),
  leaseDuration: Duration.seconds(1),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(0),
  transitions: 7
})

const of = (script: ScriptedLock["Service"], kind: "read" | "write", by: string) =>
  script.requests.filter((request) => request.kind === kind && request.by === by)

describe("follower", () => {
  it.effect(
    "rule 1: waits for the duration in the record, from when it saw the record, whatever the times in it say",
    () =>
      Effect.gen(function* () {
        const script = yield* ScriptedLock
        yield* pass("1 hour")
        // Long expired by its own clock, and short-lived by its own word.
        yield* script.put(held({ seconds: 3 }))
        const a = yield* start("a")
        yield* pass("2990 millis")
        assert.strictEqual(of(script, "write", "a").length, 0)
        yield* pass("20 millis")
        assert.isTrue(yield* a.election.isLeader)
        assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 8)
      }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a renewal in the far future does not hold the lock longer", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ renewedAt: 253_402_300_000_000 }))
      const a = yield* start("a")
      yield* pass("15010 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: changes of anything but the record do not start the wait anew", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a")
      yield* Effect.repeat(Effect.andThen(pass("3 seconds"), script.touch), { times: 3 })
      yield* pass("3010 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 1: a wall clock that steps forward does not make it take over", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      yield* script.put(held({}))
      yield* start("a", { clock: time.clock })
      yield* pass("1 second")
      time.step(3_600_000)
      yield* pass("13 seconds")
      assert.strictEqual(of(script, "write", "a").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a holder that renews unseen keeps the lock: the takeover compares with what was seen", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a")
      yield* pass("1 second")
      script.watch("Silent")
      script.fault("read", { _tag: "Fail", reason: new LeaseLock.Unavailable({}) }, 1000)
      yield* pass("10 seconds")
      yield* script.put(held({ renewedAt: 11_000 }))
      yield* pass("10 seconds")
      assert.isAtLeast(of(script, "write", "a").length, 1)
      assert.strictEqual(Option.getOrThrow(Option.getOrThrow(script.current().record).holder), "other")
      assert.strictEqual(entries(a, "started").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 2: a read that hangs does not delay the takeover", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a", { requestTimeout: "5 seconds" })
      yield* pass("1 second")
      script.watch("Silent")
      script.fault("read", { _tag: "Lost" }, 1000)
      yield* pass("14010 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 3: an absent, released or emptied lock is taken at once", () =>
    Effect.gen(function* () {
      for (const record of [undefined, released(), released({ holder: Option.some("") })]) {
        yield* Effect.gen(function* () {
          const script = yield* ScriptedLock
          if (record !== undefined) yield* script.put(record)
          const a = yield* start("a")
          yield* pass("5 millis")
          assert.isTrue(yield* a.election.isLeader)
          assert.strictEqual(Option.getOrThrow(script.current().record).transitions, record === undefined ? 0 : 8)
        }).pipe(Effect.provide(ScriptedLock.layer, { local: true }))
      }
    })
  )

  it.effect("rule 3: a notice that someone won cancels the attempt", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      yield* start("a").pipe(Random.withSeed("late"))
      yield* pass("1 second")
      yield* script.put(released())
      yield* script.put(held({ holder: "b", renewedAt: 1000 }))
      yield* pass("1 second")
      assert.strictEqual(of(script, "write", "a").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("the holder of a deleted lock may still work: who saw it leaves it a whole lease from the deletion", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const a = yield* start("a")
      yield* pass("5 seconds")
      script.watch("Silent")
      yield* script.put(held({ renewedAt: 5000 }))
      script.watch("Live")
      yield* script.remove
      yield* pass("14900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

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

  it.effect("rule 5: after a loss a candidate competes again by itself", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.put(held({ renewedAt: 1000 }))
      yield* pass("15010 millis")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 2)
    }).pipe(lockIsGiven)
  )

  it.effect("rule 5: after a resignation the other one wins", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      const b = yield* start("b")
      yield* pass("1 second")
      yield* Effect.forkChild(a.election.resign)
      yield* pass("1 minute")
      assert.isTrue(yield* b.election.isLeader)
      assert.strictEqual(entries(b, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("a grant that took longer than the deadline is written once more before anything starts", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      script.fault("write", { _tag: "AnswerLate", by: "1 second" })
      const a = yield* start("a", { clock: time.clock })
      yield* pass("100 millis")
      // The machine sleeps between the request and its answer.
      time.step(60_000)
      yield* pass("2 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.isAtLeast(of(script, "write", "a").length, 2)
      assert.strictEqual(entries(a, "started")[0]?.token, 2n)
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

  it.effect("a shutdown while an acquiring write is under way leaves nothing held, and no work starts", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.setLatency("400 millis")
      const a = yield* start("a")
      yield* pass("500 millis")
      assert.strictEqual(of(script, "write", "a").length, 1)
      const closing = yield* a.close
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
      assert.strictEqual(entries(a, "started").length, 0)
    }).pipe(lockIsGiven)
  )

  it.effect("a shutdown after an acquiring write got no answer leaves nothing held either", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.watch("Silent")
      script.fault("write", { _tag: "AnswerLost" })
      const a = yield* start("a", { requestTimeout: "1 second" })
      yield* pass("1050 millis")
      const closing = yield* a.close
      yield* pass("5 seconds")
      yield* Fiber.join(closing)
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
    }).pipe(lockIsGiven)
  )

  it.effect("a stale notice is ignored", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({}))
      const stale = script.current()
      yield* script.put(released())
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.notify(stale)
      yield* pass("1 second")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("a server restored from a backup, whose versions went back, is believed", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ seconds: 30 }))
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.notify({ ...script.current(), version: "900", fence: 900n })
      yield* pass("20 seconds")
      yield* script.put(released())
      yield* pass("15 seconds")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

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

  it.effect("contention: of many candidates one wins, and they do not storm the lock", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.setLatency("5 millis")
      yield* script.put(held({}))
      const candidates = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, index) => `candidate-${index}`),
        (name) => start(name).pipe(Random.withSeed(name))
      )
      yield* pass("1 second")
      script.requests.length = 0
      yield* script.put(released())
      yield* pass("1 second")
      const leaders = candidates.filter((candidate) => entries(candidate, "started").length > 0)
      assert.strictEqual(leaders.length, 1)
      const writes = script.requests.filter((request) => request.kind === "write")
      assert.isAtMost(writes.length, 50)
      assert.isAtMost(script.requests.length, 60)
    }).pipe(lockIsGiven)
  )

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
