/**
 * One process of a simulated candidate: the real election over a faulty lock, in its own time, and its end in order or
 * by a crash.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { LeaseLock } from "@effect-leader/core"
import type { LeaderElection, Term } from "@effect-leader/core"
import * as CandidateClock from "../CandidateClock.ts"
import * as FaultyLock from "../FaultyLock.ts"
import type * as History from "../History.ts"
import type { Timings } from "./Timings.ts"

export interface Process {
  readonly time: CandidateClock.CandidateClock
  readonly faults: FaultyLock.Faults
  readonly scribe: History.Scribe
  readonly phase: () => "Up" | "Closing" | "Closed" | "Crashed"
  readonly resign: Effect.Effect<void>
  /** Ends in order; returns when it has. A process that stands still is told when it goes on. */
  readonly close: Effect.Effect<void>
  /** Nothing of it runs any more, from one instant to the next. What it has sent is still under way. */
  readonly crash: Effect.Effect<void>
}

export interface Spec<Self, Id extends string, R> {
  readonly election: LeaderElection.ServiceClass<Self, Id>
  readonly identity: string
  readonly seed: string
  readonly clock: CandidateClock.Options
  readonly options: LeaderElection.Options
  readonly timings: Timings
  readonly work: Effect.Effect<unknown, unknown, R>
  readonly lock: LeaseLock.LeaseLock["Service"]
  readonly scribe: History.Scribe
  readonly conditions: Partial<FaultyLock.Conditions>
  /** Its work has failed: a program would end. */
  readonly onFailure: Effect.Effect<void, never, Exclude<R, Term.Term<Self>>>
}

export const start = Effect.fnUntraced(function* <Self, Id extends string, R>(spec: Spec<Self, Id, R>) {
  const { clock: drift, election, options, scribe, timings } = spec
  const time = yield* CandidateClock.make(drift)
  const within = <A, E, X>(effect: Effect.Effect<A, E, X>) =>
    effect.pipe(Effect.provideService(Clock.Clock, time.clock), Random.withSeed(spec.seed))
  const rate = drift.rate ?? 1
  yield* scribe.note({
    _tag: "Started",
    renewDeadline: timings.deadline / rate,
    stopBy: timings.stopBy / rate,
    releases: options.releaseOnShutdown ?? true
  })

  const network = yield* Scope.make()
  const { faults, lock } = yield* within(FaultyLock.make(spec.lock)).pipe(Scope.provide(network))
  yield* faults.set(spec.conditions)

  const scope = yield* Scope.make()
  const onOverrun: LeaderElection.Options["onOverrun"] = (overrun) =>
    Effect.andThen(scribe.note({ _tag: "Overrun", token: overrun.token }), options.onOverrun?.(overrun) ?? Effect.void)
  const built = yield* election
    .layer({ ...options, identity: spec.identity, onOverrun })
    .pipe(
      Layer.provide(Layer.succeed(LeaseLock.LeaseLock, scribe.granted(lock))),
      Layer.fresh,
      Layer.buildWithScope(scope),
      within
    )
  const running = Context.get(built, election)

  let phase: ReturnType<Process["phase"]> = "Up"
  const observer = yield* within(scribe.terms(running)).pipe(Effect.forkDetach({ startImmediately: true }))
  const worker = yield* running.whileLeading(scribe.work(election, spec.work)).pipe(
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause) || phase !== "Up"
        ? Effect.void
        : Effect.andThen(scribe.note({ _tag: "Failed", cause: Cause.pretty(cause) }), spec.onFailure)
    ),
    within,
    Effect.forkDetach({ startImmediately: true })
  )

  const finish = Effect.gen(function* () {
    yield* CandidateClock.whenRunning
    yield* scribe.note({ _tag: "Closing" })
    // A program ends its work and then the election, or leaves that to the election: both must do.
    if (yield* Random.nextBoolean) yield* Fiber.interrupt(worker)
    yield* Scope.close(scope, Exit.void)
    yield* Fiber.interrupt(worker)
    // What interrupted watches and requests leave behind ends in the same instant.
    yield* Effect.sleep(1)
    yield* Fiber.interrupt(observer)
    yield* scribe.note({ _tag: "Closed", leftovers: time.timers() + faults.open() })
    phase = "Closed"
    yield* Scope.close(network, Exit.void)
  })
  const process: Process = {
    time,
    faults,
    scribe,
    phase: () => phase,
    resign: Effect.andThen(CandidateClock.whenRunning, running.resign).pipe(within),
    close: Effect.suspend(() => {
      if (phase !== "Up") return Effect.void
      phase = "Closing"
      return within(finish)
    }),
    crash: Effect.suspend(() => {
      phase = "Crashed"
      return Effect.andThen(time.freeze, scribe.note({ _tag: "Crashed" }))
    })
  }
  return process
})
