import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { entries, pass, start } from "./Candidate.ts"
import { held, holderOf, of, released, unavailable } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("resign", () => {
  it.effect("rule 7: a resignation ends the work, gives the lock back, rests, and competes again", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      yield* pass("1 second")
      const resigned = yield* Effect.forkChild(a.election.resign, { startImmediately: true })
      yield* pass("500 millis")
      const draining = yield* a.leadership
      assert.strictEqual(draining._tag === "Draining" ? draining.end : draining._tag, "Resigned")
      assert.strictEqual(holderOf(script), "a")
      yield* pass("600 millis")
      yield* Fiber.join(resigned)
      assert.isUndefined(holderOf(script))
      // 1.2 retry periods and one request timeout, for a candidate that polls.
      yield* pass("4800 millis")
      assert.isFalse(yield* a.election.isLeader)
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(Option.getOrThrow(script.current().record).transitions, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("called by the work itself ends the work and the term", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      const b = yield* start("b")
      yield* pass("1 second")
      const [leader, other] = (yield* a.election.isLeader) ? [a, b] : [b, a]
      yield* Effect.forkDetach(leader.election.runAsLeader(leader.election.resign))
      yield* pass("1 second")
      assert.isTrue(yield* other.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("does nothing on standby", () =>
    Effect.gen(function* () {
      yield* start("a")
      yield* pass("1 second")
      const b = yield* start("b")
      yield* pass("1 second")
      yield* b.election.resign
    }).pipe(lockIsGiven)
  )

  it.effect("called in a finalizer of the work returns at once, and another term follows", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      let runs = 0
      const job = Effect.suspend(() => (++runs === 1 ? Effect.sleep("1 second") : Effect.never))
      yield* Effect.forkDetach(a.election.whileLeading(Effect.ensuring(job, a.election.resign)))
      yield* pass("20 seconds")
      // The first run came to its end, and took the term with it.
      assert.strictEqual(runs, 2)
      assert.strictEqual(entries(a, "started").length, 2)
      // The second is ended by a loss, with the same finalizer.
      yield* script.put(held({ renewedAt: 20_000 }))
      yield* pass("30 seconds")
      assert.strictEqual(runs, 3)
      assert.isTrue(yield* a.election.isLeader)
      const closing = yield* a.close
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("as the first act of the work ends that very term, of which the status tells by then", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      const statuses: Array<string> = []
      const work = Effect.gen(function* () {
        statuses.push((yield* a.leadership)._tag)
        yield* a.election.resign
        return yield* Effect.never
      })
      yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      assert.deepStrictEqual(statuses, ["Leading"])
      assert.strictEqual(entries(a, "stopped").length, 1)
      assert.isUndefined(holderOf(script))
      yield* pass("5 seconds")
      assert.deepStrictEqual(statuses, ["Leading", "Leading"])
    }).pipe(lockIsGiven)
  )

  it.effect("by somebody else returns only once the lock is given back", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "1 second" })
      yield* pass("1 second")
      const resigning = yield* Effect.forkDetach(
        Effect.andThen(
          a.election.resign,
          Effect.sync(() => holderOf(script))
        )
      )
      yield* pass("900 millis")
      assert.isUndefined(resigning.pollUnsafe())
      assert.strictEqual(holderOf(script), "a")
      yield* pass("200 millis")
      assert.isUndefined(yield* Fiber.join(resigning))
    }).pipe(lockIsGiven)
  )

  it.effect("what a resignation could not give back is given back by a shutdown while it rests", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      yield* pass("1 second")
      script.fault("write", unavailable(), 1000)
      const resigning = yield* Effect.forkDetach(a.election.resign)
      // Two request timeouts, and it gives up.
      yield* pass("5100 millis")
      yield* Fiber.join(resigning)
      assert.strictEqual(holderOf(script), "a")
      script.heal()
      const closing = yield* a.close
      yield* pass("100 millis")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("others go first, also when the lock is lost while the work drains", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", { cleanup: "2 seconds" })
      yield* pass("1 second")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("1 second")
      yield* script.put(held({ holder: "b" }))
      yield* pass("1100 millis")
      assert.strictEqual((yield* a.leadership)._tag, "Standby")
      script.requests.length = 0
      yield* script.put(released())
      yield* pass("4700 millis")
      assert.deepStrictEqual(of(script, "write", "a"), [])
      yield* pass("200 millis")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )
})
