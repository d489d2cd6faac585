import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Scope, Stream, SubscriptionRef } from "effect"
import { LeaderElection } from "../src/index.ts"
import { pass } from "./Candidate.ts"
import { held, holderOf } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

const loseTheLock = Effect.gen(function* () {
  const script = yield* ScriptedLock
  yield* script.put(held({ renewedAt: 1000 }))
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

  const failsAtFirst = (builds: Array<number>) =>
    Layer.effectDiscard(
      Effect.suspend(() => (builds.push(builds.length) < 2 ? Effect.fail("no database") : Effect.void))
    )

  const hooks: Record<string, () => Effect.Effect<void>> = {
    dies: () => Effect.die("the hook is broken"),
    "throws before it returns an effect": () => {
      throw new Error("the hook is broken")
    },
    "never returns": () => Effect.never,
    "cannot be interrupted": () => Effect.uninterruptible(Effect.never)
  }
  for (const [name, hook] of Object.entries(hooks)) {
    it.effect(`an onFailure that ${name} does not keep the term from being resigned, nor the next from coming`, () =>
      Effect.gen(function* () {
        const script = yield* ScriptedLock
        const builds: Array<number> = []
        yield* launched(failsAtFirst(builds), hook)
        yield* pass("1 second")
        assert.isUndefined(holderOf(script))
        yield* pass("10 seconds")
        assert.strictEqual(builds.length, 2)
        assert.strictEqual(holderOf(script), "a")
      }).pipe(lockIsGiven)
    )
  }

  it.effect("builds the layer anew even if the program around it holds the very same one", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const shared = resource(log)
      yield* LeaderElection.layerWhileLeading(shared).pipe(
        Layer.merge(shared),
        Layer.provide(LeaderElection.layer({ identity: "a" })),
        Layer.provide(ScriptedLock.lockOf("a")),
        Layer.buildWithScope(yield* Scope.make())
      )
      yield* pass("1 second")
      assert.deepStrictEqual(log, ["built", "built"])
      yield* loseTheLock
      yield* pass("20 seconds")
      assert.deepStrictEqual(log, ["built", "built", "torn down", "built"])
    }).pipe(lockIsGiven)
  )
})
