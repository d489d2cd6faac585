import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Context,
  DateTime,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Scope,
  Stream,
  SubscriptionRef
} from "effect"
import { LeaderElection, LeaseLock } from "../src/index.ts"
import * as TermWork from "../src/work/TermWork.ts"
import { pass, start } from "./Candidate.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

const loseTheLock = Effect.gen(function* () {
  const script = yield* ScriptedLock
  const own = Option.getOrThrow(script.current().record)
  yield* script.put({ ...own, holder: Option.some("intruder") })
})

describe("whileLeading", () => {
  it.effect("starts the work in every term, and interrupts and awaits it at the end of each", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      const log: Array<string> = []
      const work = Effect.onExit(
        Effect.andThen(
          Effect.sync(() => log.push("start")),
          Effect.never
        ),
        () =>
          Effect.delay(
            Effect.sync(() => log.push("end")),
            "1 second"
          )
      )
      yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      yield* loseTheLock
      yield* pass("20 seconds")
      assert.deepStrictEqual(log, ["start", "end", "start"])
    }).pipe(lockIsGiven)
  )

  it.effect("fails when the work fails, and the other work goes on", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      const failing = yield* Effect.forkChild(a.election.whileLeading(Effect.delay(Effect.fail("broken"), "1 second")))
      yield* pass("2 seconds")
      assert.deepStrictEqual(yield* Fiber.await(failing), Exit.fail("broken"))
      assert.isTrue(yield* a.election.isLeader)
      assert.deepStrictEqual(
        a.journal.filter((entry) => entry.what !== "tick").map((entry) => entry.what),
        ["started"]
      )
    }).pipe(lockIsGiven)
  )

  it.effect("work that comes to its end waits for the next term", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      let runs = 0
      yield* Effect.forkChild(a.election.whileLeading(Effect.sync(() => ++runs)))
      yield* pass("10 seconds")
      assert.strictEqual(runs, 1)
      yield* loseTheLock
      yield* pass("20 seconds")
      assert.strictEqual(runs, 2)
    }).pipe(lockIsGiven)
  )

  it.effect("a guard that refuses because the term ended is no failure of the work", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      let terms = 0
      // Work that does not stop by interruption, and finds out by its guard.
      const work = Effect.gen(function* () {
        terms += 1
        const term = yield* LeaderElection.Term
        yield* Effect.forever(Effect.delay(term.guard(Effect.void), "1 second"))
      }).pipe(Effect.uninterruptible)
      const running = yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      yield* loseTheLock
      yield* pass("20 seconds")
      assert.strictEqual(terms, 2)
      assert.isUndefined(running.pollUnsafe())
    }).pipe(lockIsGiven)
  )

  it.effect("an interruption of the caller stops and awaits the work", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      let ended = false
      const work = Effect.onExit(Effect.never, () =>
        Effect.delay(
          Effect.sync(() => {
            ended = true
          }),
          "1 second"
        )
      )
      const running = yield* Effect.forkChild(a.election.whileLeading(work))
      yield* pass("1 second")
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(running))
      yield* pass("500 millis")
      assert.isFalse(ended)
      assert.isUndefined(interrupting.pollUnsafe())
      yield* pass("1 second")
      assert.isTrue(ended)
      yield* Fiber.join(interrupting)
    }).pipe(lockIsGiven)
  )
})

describe("runAsLeader", () => {
  it.effect("waits for a term, runs once and returns the result", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      const b = yield* start("b")
      yield* pass("1 second")
      const [leader, other] = (yield* a.election.isLeader) ? [a, b] : [b, a]
      const result = yield* Effect.forkChild(
        other.election.runAsLeader(Effect.map(LeaderElection.Term, (term) => term.token))
      )
      yield* pass("5 seconds")
      assert.isUndefined(result.pollUnsafe())
      yield* Effect.forkChild(leader.election.resign)
      yield* pass("1 second")
      const token = yield* Fiber.join(result)
      assert.strictEqual(token, (yield* other.term).token)
    }).pipe(lockIsGiven)
  )

  it.effect("fails with NotLeading when the term ends first, after the work's finalizers", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      const running = yield* Effect.forkChild(a.election.runAsLeader(Effect.never))
      yield* pass("1 second")
      yield* loseTheLock
      yield* pass("1 second")
      const exit = yield* Fiber.await(running)
      assert.isTrue(
        Exit.isFailure(exit) &&
          Option.exists(Cause.findErrorOption(exit.cause), (error) => error.reason.includes("Superseded"))
      )
    }).pipe(lockIsGiven)
  )

  it.effect("does not wait for a stopped election", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      yield* Effect.flatMap(a.close, Fiber.join)
      const error = yield* Effect.flip(a.election.runAsLeader(Effect.void))
      assert.strictEqual(error.reason, "the election has stopped")
    }).pipe(lockIsGiven)
  )

  it.effect("asked for while a term drains waits for the next one", () =>
    Effect.gen(function* () {
      const a = yield* start("a", { cleanup: "2 seconds" })
      yield* pass("1 second")
      const former = (yield* a.term).token
      yield* Effect.forkDetach(a.election.resign)
      yield* pass("1 second")
      const running = yield* Effect.forkDetach(
        a.election.runAsLeader(Effect.map(LeaderElection.Term, (term) => term.token))
      )
      yield* pass("500 millis")
      assert.isUndefined(running.pollUnsafe())
      yield* pass("10 seconds")
      assert.isTrue((yield* Fiber.join(running)) > former)
    }).pipe(lockIsGiven)
  )
})

describe("guard", () => {
  it.effect("interrupts the effect when the term ends, wherever it runs", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      const term = yield* a.term
      const outside = yield* Effect.forkDetach(term.guard(Effect.never))
      yield* pass("1 second")
      yield* loseTheLock
      yield* pass("1 second")
      const exit = yield* Fiber.await(outside)
      assert.isTrue(Exit.isFailure(exit) && Option.isSome(Cause.findErrorOption(exit.cause)))
    }).pipe(lockIsGiven)
  )

  it.effect("works in finalizers while the term drains, and the lock waits for it", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const a = yield* start("a")
      const written: Array<Option.Option<string>> = []
      const work = Effect.gen(function* () {
        const term = yield* LeaderElection.Term
        const flush = Effect.sync(() => written.push(Option.getOrThrow(script.current().record).holder))
        yield* Effect.onExit(Effect.never, () => Effect.ignore(Effect.delay(term.guard(flush), "3 seconds")))
      })
      yield* Effect.forkDetach(a.election.whileLeading(work))
      yield* pass("1 second")
      const closing = yield* a.close
      yield* pass("4 seconds")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(written, [Option.some("a")])
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
    }).pipe(lockIsGiven)
  )

  it.effect("refuses a term that is over, with its token and its end", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      const term = yield* a.term
      const resigning = yield* Effect.forkChild(a.election.resign)
      yield* pass("10 seconds")
      yield* Fiber.join(resigning)
      assert.isTrue(yield* a.election.isLeader)
      assert.isFalse(term.isValid())
      const error = yield* Effect.flip(term.guard(Effect.void))
      assert.include(error.message, `term ${term.token} of test/lock is over`)
    }).pipe(lockIsGiven)
  )
})

describe("the layer", () => {
  it.effect("tells the present leadership to every new subscriber, and the leader to followers", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      const b = yield* start("b")
      yield* pass("1 second")
      const first = yield* Stream.runHead(SubscriptionRef.changes(b.election.leadership))
      assert.strictEqual(Option.getOrThrow(first)._tag, "Standby")
      assert.strictEqual(Option.getOrThrow(yield* b.election.leader).identity, "a")
      assert.strictEqual(Option.getOrThrow(yield* a.election.leader).identity, "a")
      assert.strictEqual(a.election.name, "test/lock")
    }).pipe(lockIsGiven)
  )

  it.effect("a subscriber that holds the ref does not keep the work from being interrupted", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      yield* Effect.forkDetach(
        SubscriptionRef.modifyEffect(a.election.leadership, () => Effect.never as Effect.Effect<never>)
      )
      yield* pass("1 second")
      yield* loseTheLock
      yield* pass("1 millis")
      assert.strictEqual(a.journal.at(-1)?.what, "stopped")
    }).pipe(lockIsGiven)
  )

  it.effect("candidates on the lock in memory exclude each other and follow one another", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "one process" }))
      const candidate = (identity: string) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const context = yield* LeaderElection.layer({ identity }).pipe(
            Layer.fresh,
            Layer.buildWithScope(scope),
            Effect.provideContext(lock)
          )
          const election = Context.get(context, LeaderElection.LeaderElection)
          return { election, close: Scope.close(scope, Exit.void) }
        })
      const a = yield* candidate("a")
      const b = yield* candidate("b")
      yield* pass("1 second")
      const [leader, other] = (yield* a.election.isLeader) ? [a, b] : [b, a]
      assert.isTrue(yield* leader.election.isLeader)
      assert.isFalse(yield* other.election.isLeader)
      yield* leader.close
      yield* pass("10 millis")
      assert.isTrue(yield* other.election.isLeader)
    })
  )
})

describe("the work of a term", () => {
  const tenancy = { token: 1n, since: DateTime.makeUnsafe(0), remaining: Effect.succeed(Duration.infinity) }
  const make = () => {
    const found: Array<string> = []
    let isValid = true
    const work = TermWork.make({
      ...tenancy,
      isValid: () => isValid,
      onInvalid: () => found.push("invalid"),
      whyEnded: () => "over"
    })
    return {
      work,
      found,
      expire: () => {
        isValid = false
      }
    }
  }

  it.effect("is not admitted while the term drains, though a guard in its finalizers is", () =>
    Effect.gen(function* () {
      const { work } = make()
      yield* Effect.forkChild(work.run(Effect.onExit(Effect.never, () => Effect.sleep("1 second"))))
      yield* pass(0)
      const interrupting = yield* Effect.forkChild(work.interrupt)
      yield* pass("500 millis")
      assert.strictEqual((yield* Effect.flip(work.run(Effect.void)))._tag, "NotLeading")
      assert.strictEqual(yield* work.term.guard(Effect.succeed("flushed")), "flushed")
      yield* pass("500 millis")
      yield* Fiber.join(interrupting)
      assert.strictEqual((yield* Effect.flip(work.term.guard(Effect.void)))._tag, "NotLeading")
    })
  )

  it.effect("is ended by the end of its validity together with what its finalizers guard", () =>
    Effect.gen(function* () {
      const { work } = make()
      const log: Array<string> = []
      const note = (what: string) => Effect.sync(() => log.push(what))
      const flush = Effect.onInterrupt(Effect.never, () => note("flush cut off"))
      const finalizer = Effect.andThen(Effect.exit(work.term.guard(flush)), note("ended"))
      yield* Effect.forkDetach(work.run(Effect.onExit(Effect.never, () => finalizer)))
      yield* pass(0)
      const interrupting = yield* Effect.forkDetach(work.interrupt)
      yield* pass("1 second")
      assert.deepStrictEqual(log, [])
      assert.strictEqual(work.running(), 2)
      yield* work.invalidate
      yield* pass(0)
      assert.deepStrictEqual(log, ["flush cut off", "ended"])
      assert.strictEqual(work.running(), 0)
      yield* Fiber.join(interrupting)
    })
  )

  it.effect("finds out once that the term is invalid, and holds to it", () =>
    Effect.gen(function* () {
      const { expire, found, work } = make()
      assert.isTrue(work.term.isValid())
      expire()
      assert.isFalse(work.term.isValid())
      assert.isFalse(work.term.isValid())
      assert.isTrue(work.hasEnded())
      assert.deepStrictEqual(found, ["invalid"])
    })
  )
})
