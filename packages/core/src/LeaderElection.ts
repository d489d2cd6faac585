/**
 * Leadership as a layer. A program declares an election, runs work under it, and provides the lock:
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 *
 * const job = Effect.gen(function* () {
 *   const term = yield* LeaderElection.Term
 *   yield* Effect.log(`leading with token ${term.token}`)
 *   yield* term.guard(Effect.log("written while nobody else can lead")).pipe(Effect.delay("1 second"), Effect.forever)
 * })
 *
 * export const program = LeaderElection.whileLeading(job).pipe(
 *   Effect.provide(LeaderElection.layer()),
 *   Effect.provide(LeaseLock.layerMemory())
 * )
 * ```
 *
 * The rules, and why they are safe, are in docs/protocol.md.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import { LeaseLock } from "./LeaseLock.ts"
import * as Runtime from "./run/Runtime.ts"
import type { Leader, Leadership } from "./say/Leadership.ts"
import * as Settings from "./Settings.ts"
import type { InvalidTimings, Options } from "./Settings.ts"
import * as SettingsConfig from "./SettingsConfig.ts"
import type { NotLeading, Term as TermOf, TermShape } from "./Term.ts"
import * as Terms from "./work/Terms.ts"
import type { TermWork } from "./work/TermWork.ts"

export type { TermEnd } from "./decide/State.ts"
export type { Leader, Leadership } from "./say/Leadership.ts"
export { InvalidTimings } from "./Settings.ts"
export type { Options, Overrun } from "./Settings.ts"

/**
 * One candidate's view of an election.
 *
 * @since 0.1.0
 */
export interface Election<Self> {
  /** The lock's name. */
  readonly name: string
  readonly identity: string
  /** Replays its value to every new subscriber. Read it; the election alone writes it. */
  readonly leadership: SubscriptionRef.SubscriptionRef<Leadership>
  readonly leader: Effect.Effect<Option.Option<Leader>>
  readonly isLeader: Effect.Effect<boolean>
  /**
   * Runs `work` in every term: started on election, interrupted and awaited when the term ends. Fails when the work
   * fails. Work that comes to its end waits for the next term.
   */
  readonly whileLeading: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<never, E, Exclude<R, TermOf<Self>>>
  /** Waits for a term, runs `work` in it once, and returns its result; `NotLeading` when the term ends first. */
  readonly runAsLeader: <A, E, R>(
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | NotLeading, Exclude<R, TermOf<Self>>>
  /**
   * Ends the term in order (work first, then the lock), stands back long enough for another to win, then competes
   * again. Returns once the lock is given back. Called by the work of the term, also by its finalizers, it returns at
   * once, since the end of the term waits for that work.
   */
  readonly resign: Effect.Effect<void>
}

/**
 * The class that `Service` makes: one election of a program.
 *
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string> extends Context.ServiceClass<Self, Id, Election<Self>> {
  /** The term that the work runs in. */
  readonly Term: Context.Service<TermOf<Self>, TermShape>
  /** Competes while its scope is open. Closing it ends the work, then gives the lock back. */
  readonly layer: (options?: Options) => Layer.Layer<Self, InvalidTimings, LeaseLock>
  /**
   * `layer` with options from the environment: IDENTITY (or POD_NAME), ADDRESS, LEASE_DURATION, RENEW_DEADLINE (or
   * RENEWAL_DEADLINE), RETRY_PERIOD, REQUEST_TIMEOUT, DRAIN_TIMEOUT, CLOCK_DRIFT, MAX_CLOCK_SKEW, RELEASE_ON_SHUTDOWN
   * and RECLAIM_OWN, or from the given Config instead. `15`, `15s` and `15 seconds` all mean the same.
   */
  readonly layerConfig: (
    options?: Config.Wrap<Options>
  ) => Layer.Layer<Self, InvalidTimings | Config.ConfigError, LeaseLock>
  readonly whileLeading: <A, E, R>(
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<never, E, Self | Exclude<R, TermOf<Self>>>
  readonly runAsLeader: <A, E, R>(
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | NotLeading, Self | Exclude<R, TermOf<Self>>>
  /**
   * Builds the layer in every term and tears it down when the term ends. A failure is logged, the term resigned, and
   * the layer built again in a later term; it never leaves a leader that does nothing.
   */
  readonly layerWhileLeading: <A, E, R>(
    work: Layer.Layer<A, E, R>,
    options?: { readonly onFailure?: (cause: Cause.Cause<E>) => Effect.Effect<void> }
  ) => Layer.Layer<never, never, Self | Exclude<R, TermOf<Self>>>
}

/**
 * Declares an election of its own, so that work of one election does not run under another.
 *
 * ```ts
 * import { LeaderElection } from "@effect-leader/core"
 *
 * class Reports extends LeaderElection.Service<Reports>()("app/Reports") {}
 * ```
 *
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string>(id: Id): ServiceClass<Self, Id> => {
    const Election = Context.Service<Self, Election<Self>>()(id)
    const Term = Context.Service<TermOf<Self>, TermShape>(`${id}/Term`)

    const inTerm =
      <A, E, R>(work: Effect.Effect<A, E, R>) =>
      ({ term }: TermWork) =>
        Effect.provideService(work, Term, term)

    // Untraced: what the candidate does for its whole life is no part of the span in which it was made.
    const make = Effect.fnUntraced(function* (options: Options) {
      const lock = yield* LeaseLock
      const suffix = (yield* randomHex).slice(0, 8)
      const host = yield* hostName
      const settings = Settings.fromOptions(options, {
        name: lock.name,
        incarnation: yield* randomHex,
        defaultIdentity: `${host}_${suffix}`,
        durationUnit: lock.durationUnit
      })
      if (settings instanceof Settings.InvalidTimings) return yield* settings
      const running = yield* Runtime.make(settings, options)
      return Election.of({
        name: settings.name,
        identity: settings.identity,
        leadership: running.leadership,
        leader: running.leader,
        isLeader: running.isLeader,
        whileLeading: (work) => Terms.whileLeading(running.terms)(inTerm(work)),
        runAsLeader: (work) => Terms.runAsLeader(running.terms)(inTerm(work)),
        resign: Effect.flatMap(Effect.serviceOption(Term), (own) =>
          Option.exists(own, (term) => running.isCurrent(term.token)) ? running.askToResign : running.resign
        )
      })
    })

    const layer = (options: Options = {}) => Layer.effect(Election, make(options))

    const layerWhileLeading = <A, E, R>(
      work: Layer.Layer<A, E, R>,
      options?: { readonly onFailure?: (cause: Cause.Cause<E>) => Effect.Effect<void> }
    ): Layer.Layer<never, never, Self | Exclude<R, TermOf<Self>>> =>
      Layer.effectDiscard(
        Effect.gen(function* () {
          const election = yield* Election
          const built = Effect.scoped(Effect.andThen(Layer.build(Layer.fresh(work)), Effect.never))
          const report = (cause: Cause.Cause<E>) =>
            Effect.andThen(
              Effect.logError(
                `work failed under ${election.name}: resigns, and builds it again in a later term`,
                cause
              ),
              Effect.suspend(() => options?.onFailure?.(cause) ?? Effect.void)
            )
          // Resigns whatever the hook does, and without waiting for it.
          const giveUp = (cause: Cause.Cause<E>) =>
            Effect.andThen(
              Effect.forkDetach(Effect.ignoreCause(report(cause)), { startImmediately: true }),
              election.resign
            )
          yield* election.whileLeading(built).pipe(Effect.catchCause(giveUp), Effect.forever, Effect.forkScoped)
        })
      )

    return Object.assign(Election, {
      Term,
      layer,
      layerConfig: (options?: Config.Wrap<Options>) =>
        Layer.effect(
          Election,
          Effect.flatMap(options === undefined ? SettingsConfig.fromEnvironment() : Config.unwrap(options), make)
        ),
      whileLeading: <A, E, R>(work: Effect.Effect<A, E, R>) =>
        Effect.flatMap(Election, (election) => election.whileLeading(work)),
      runAsLeader: <A, E, R>(work: Effect.Effect<A, E, R>) =>
        Effect.flatMap(Election, (election) => election.runAsLeader(work)),
      layerWhileLeading
    })
  }

const randomHex = Effect.map(
  Effect.all([Random.nextIntBetween(0, 2 ** 32), Random.nextIntBetween(0, 2 ** 32)]),
  (parts) => parts.map((part) => part.toString(16).padStart(8, "0")).join("")
)

const hostName = Config.String("HOSTNAME").pipe(Config.withDefault("candidate"), (config) =>
  Effect.orElseSucceed(config, () => "candidate")
)

/**
 * The election of a program that has just one.
 *
 * @since 0.1.0
 */
export class LeaderElection extends Service<LeaderElection>()("@effect-leader/core/LeaderElection") {}

/**
 * The words of that one election, so that the common program reads `LeaderElection.layer()` and
 * `LeaderElection.whileLeading(job)`.
 *
 * @since 0.1.0
 */
export const { Term, layer, layerConfig, layerWhileLeading, runAsLeader, whileLeading } = LeaderElection
