import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Option } from "effect"
import { LeaderElection } from "../src/index.ts"
import { entries, makeClock, pass, start } from "./Candidate.ts"
import { held, holderOf, released } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("defects", () => {
  it.effect("a lock that throws is trouble with the lock, not the end of the election", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.fault("read", { _tag: "Die", defect: new Error("boom") }, 3)
      const a = yield* start("a")
      yield* pass("100 millis")
      const leadership = yield* a.leadership
      assert.include(
        leadership._tag === "Standby" ? Option.getOrThrow(leadership.trouble).message : leadership._tag,
        "boom"
      )
      yield* pass("10 seconds")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("a logger that throws keeps nobody from leading, nor from losing", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const broken = Logger.make(() => {
        throw new Error("the disk is full")
      })
      const a = yield* start("a").pipe(Effect.provide(Logger.layer([broken])))
      yield* pass("3 seconds")
      assert.isTrue(yield* a.election.isLeader)
      yield* script.put(held())
      yield* pass("1 millis")
      assert.strictEqual(entries(a, "stopped").length, 1)
      yield* pass("20 seconds")
      assert.isTrue(yield* a.election.isLeader)
      const closing = yield* a.close
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.isUndefined(holderOf(script))
    }).pipe(lockIsGiven)
  )

  it.effect("an onOverrun that throws before it returns an effect leaves the candidate to compete again", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a", {
        cleanup: "20 seconds",
        onOverrun: () => {
          throw new Error("the hook is broken")
        }
      })
      yield* pass("1 second")
      yield* script.put(held())
      yield* pass("40 seconds")
      assert.strictEqual(entries(a, "stopped").length, 1)
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("a write that throws before it returns an effect is a write that failed", () =>
    Effect.gen(function* () {
      let isBroken = true
      const a = yield* start("a", {
        lock: (lock) => ({
          ...lock,
          write: (expected, next) => {
            if (isBroken) throw new Error("no client")
            return lock.write(expected, next)
          }
        })
      })
      yield* pass("1 second")
      const leadership = yield* a.leadership
      assert.include(
        leadership._tag === "Standby" ? Option.getOrThrow(leadership.trouble).message : leadership._tag,
        "no client"
      )
      isBroken = false
      yield* pass("5 seconds")
      assert.isTrue(yield* a.election.isLeader)
      isBroken = true
      yield* pass("5 seconds")
      isBroken = false
      yield* pass("10 seconds")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "started").length, 1)
    }).pipe(lockIsGiven)
  )

  it.effect("a watch that throws before it returns a stream is polled around", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held())
      const a = yield* start("a", {
        lock: (lock) => ({
          ...lock,
          changes: () => {
            throw new Error("no client")
          }
        })
      })
      yield* pass("10 seconds")
      yield* script.put(released())
      yield* pass("3 seconds")
      assert.isTrue(yield* a.election.isLeader)
      yield* pass("30 seconds")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(lockIsGiven)
  )

  it.effect("an election that ends by a defect leads no more, and tells whoever runs or waits for work", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      const a = yield* start("a", { clock: time.clock, every: "1 hour", cleanup: "1 second" })
      yield* pass("1 second")
      assert.isTrue(yield* a.election.isLeader)
      const done = yield* Effect.forkDetach(a.election.whileLeading(Effect.void), { startImmediately: true })
      const working = yield* Effect.forkDetach(a.election.whileLeading(Effect.never), { startImmediately: true })
      time.breakFor(1)
      // The next renewal is one too many for it.
      yield* pass("1100 millis")
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
      assert.isFalse(yield* a.election.isLeader)
      assert.strictEqual(entries(a, "stopping").length, 1)
      yield* pass("2 seconds")
      for (const waiting of [done, working, yield* Effect.forkDetach(a.election.runAsLeader(Effect.void))]) {
        yield* pass(0)
        const exit = waiting.pollUnsafe()
        assert.isTrue(exit !== undefined && Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.include(exit === undefined ? "" : String(exit), "election test/lock failed")
      }
      const closing = yield* a.close
      yield* pass(0)
      assert.isDefined(closing.pollUnsafe())
      // It cannot be told any more whether the lock is its own: that runs out by itself.
      assert.strictEqual(holderOf(script), "a")
    }).pipe(lockIsGiven)
  )

  it.effect("an election that ends by a defect while its work drains cuts off what finalizers guard", () =>
    Effect.gen(function* () {
      const time = yield* makeClock
      const a = yield* start("a", { clock: time.clock, every: "1 hour" })
      const log: Array<string> = []
      const flush = Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("cut off")))
      const work = Effect.gen(function* () {
        const term = yield* LeaderElection.Term
        yield* Effect.onExit(Effect.never, () => Effect.ignore(term.guard(flush)))
      })
      yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("500 millis")
      assert.deepStrictEqual(log, [])
      time.breakFor(1)
      yield* pass("600 millis")
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
      assert.deepStrictEqual(log, ["cut off"])
    }).pipe(lockIsGiven)
  )
})
