import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { entries, makeLink, pass, start } from "./Candidate.ts"
import { held, holderOf, of } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("a lock that somebody else emptied", () => {
  it.effect("is left for a lease to the holder, who may still work", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ incarnation: "of the other" }))
      const b = yield* start("b")
      yield* pass("5 seconds")
      yield* script.put({ ...held({ incarnation: "of the other" }), holder: Option.none() })
      yield* pass("14900 millis")
      assert.isFalse(yield* b.election.isLeader)
      yield* pass("200 millis")
      assert.isTrue(yield* b.election.isLeader)
    }).pipe(Effect.provide(ScriptedLock.layer))
  )

  it.effect("is taken again at once by its holder, when its work has ended", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      yield* pass("1 second")
      const own = Option.getOrThrow(script.current().record)
      yield* script.put({ ...own, holder: Option.none() })
      yield* pass("900 millis")
      assert.isFalse(yield* a.election.isLeader)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(Effect.provide(ScriptedLock.layer))
  )
})

describe("a deleted lock", () => {
  it.effect("the holder of a deleted lock may still work: who saw it leaves it a whole lease from the deletion", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: "10 seconds" }))
      const a = yield* start("a")
      yield* pass("5 seconds")
      script.watch("Silent")
      yield* script.put(held({ lease: "10 seconds", renewedAt: 5000 }))
      script.watch("Live")
      yield* script.remove
      yield* pass("9900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("who never saw its holder leaves it a whole lease, too", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      const b = yield* start("b")
      yield* pass("4900 millis")
      // a gives the lock back, and hears of nothing after that; b polls 6 s after the last notice.
      script.watch("Silent")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("4400 millis")
      assert.isTrue(yield* b.election.isLeader)
      assert.strictEqual(of(script, "read", "a").length, 1)
      yield* script.remove
      // a has rested, conflicts, and reads that there is no lock; b does not know yet.
      yield* pass("1 second")
      assert.strictEqual(of(script, "read", "a").length, 2)
      assert.isTrue(yield* b.election.isLeader)
      yield* pass("14 seconds")
      assert.strictEqual(entries(a, "started").length, 1)
      const since = entries(b, "started")[0]?.at ?? 0
      assert.deepStrictEqual(
        entries(a, "tick").filter((entry) => entry.at >= since),
        []
      )
    }).pipe(lockIsGiven)
  )

  it.effect("its former holder makes it anew at once", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* start("b")
      yield* pass("1 second")
      const leader = holderOf(script)
      yield* script.remove
      yield* pass("20 millis")
      assert.strictEqual(holderOf(script), leader)
      assert.strictEqual(entries(a, "started").length, leader === "a" ? 2 : 0)
    }).pipe(lockIsGiven)
  )

  it.effect("its former holder does not, when what it knows is older than its lease", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const link = makeLink()
      const a = yield* start("a", { retryPeriod: "500 millis", requestTimeout: "1 second", lock: link.lock })
      yield* pass("100 millis")
      link.cut()
      const b = yield* start("b")
      yield* pass("15100 millis")
      assert.isFalse(yield* a.election.isLeader)
      assert.isTrue(yield* b.election.isLeader)
      // b does not learn of the deletion before its next renewal; a does.
      script.watch("Silent")
      yield* script.remove
      link.mend()
      const before = of(script, "read", "a").length
      yield* pass("1700 millis")
      assert.isAbove(of(script, "read", "a").length, before)
      assert.isTrue(yield* b.election.isLeader)
      assert.strictEqual(of(script, "write", "a").filter((request) => request.at > 15_200).length, 0)
      assert.strictEqual(entries(a, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("a namesake may have held it: its lease is waited for as any other's", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ holder: "a", incarnation: "another", lease: "7 seconds" }))
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.remove
      yield* pass("6900 millis")
      assert.strictEqual(of(script, "write", "a").length, 0)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )
})
