import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Scope, Stream, SubscriptionRef } from "effect"
import { LeaderElection, LeaseLock } from "../src/index.ts"
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

describe("layerWhileLeading", () => {
  const launched = Effect.fnUntraced(function* <A, E>(
    work: Layer.Layer<A, E, LeaderElection.LeaderElection>,
    onFailure?: (cause: Cause.Cause<E>) => Effect.Effect<void>
  ) {
    const scope = yield* Scope.make()
    const context = yield* LeaderElection.layerWhileLeading(
      work,
      onFailure === undefined ? undefined : { onFailure }
    ).pipe(
      Layer.provideMerge(LeaderElection.layer({ identity: "a" })),
      Layer.provide(ScriptedLock.lockOf("a")),
      Layer.fresh,
      Layer.buildWithScope(scope)
    )
    return {
      election: Context.get(context, LeaderElection.LeaderElection),
      close: Effect.forkDetach(Scope.close(scope, Exit.void))
    }
  })

  const resource = (log: Array<string>) =>
    Layer.effectDiscard(
      Effect.acquireRelease(
        Effect.sync(() => log.push("built")),
        () =>
          Effect.delay(
            Effect.sync(() => log.push("torn down")),
            "1 second"
          )
      )
    )

  it.effect("builds the layer in every term and tears it down when the term ends", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      yield* launched(resource(log))
      yield* pass("1 second")
      assert.deepStrictEqual(log, ["built"])
      yield* loseTheLock
      yield* pass("20 seconds")
      assert.deepStrictEqual(log, ["built", "torn down", "built"])
    }).pipe(lockIsGiven)
  )

  it.effect("at the end of the program the lock is given back after the layer is torn down", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const log: Array<string> = []
      const program = yield* launched(resource(log))
      yield* pass("1 second")
      const closing = yield* program.close
      yield* pass("900 millis")
      assert.isTrue(Option.isSome(Option.getOrThrow(script.current().record).holder))
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(log, ["built", "torn down"])
      assert.isTrue(Option.isNone(Option.getOrThrow(script.current().record).holder))
    }).pipe(lockIsGiven)
  )

  it.effect("a failure is told, the term resigned, and the layer built again in a later term", () =>
    Effect.gen(function* () {
      const causes: Array<string> = []
      let builds = 0
      const work = Layer.effectDiscard(
        Effect.suspend(() => (++builds < 3 ? Effect.delay(Effect.fail(`build ${builds}`), "1 second") : Effect.void))
      )
      const { election } = yield* launched(work, (cause) =>
        Effect.sync(() => {
          causes.push(Option.getOrElse(Cause.findErrorOption(cause), () => "none"))
        })
      )
      const seen: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(SubscriptionRef.changes(election.leadership), (it) =>
          Effect.sync(() => seen.push(it._tag === "Draining" ? it.end : it._tag))
        )
      )
      yield* pass("30 seconds")
      assert.deepStrictEqual(causes, ["build 1", "build 2"])
      assert.strictEqual(builds, 3)
      assert.deepStrictEqual(
        seen.filter((it) => it !== "Standby"),
        ["Leading", "Resigned", "Leading", "Resigned", "Leading"]
      )
    }).pipe(lockIsGiven)
  )

  it.effect("work that interrupts itself, or fails while it is torn down, leaves no leader that does nothing", () =>
    Effect.gen(function* () {
      let builds = 0
      const work = Layer.effectDiscard(
        Effect.suspend(() => {
          builds += 1
          if (builds === 1) return Effect.interrupt
          if (builds === 2) return Effect.acquireRelease(Effect.void, () => Effect.die("a finalizer failed"))
          return Effect.void
        })
      )
      yield* launched(work)
      yield* pass("10 seconds")
      assert.strictEqual(builds, 2)
      yield* loseTheLock
      yield* pass("40 seconds")
      assert.strictEqual(builds, 3)
    }).pipe(lockIsGiven)
  )
})

describe("resign", () => {
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
