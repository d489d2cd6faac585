/**
 * Runs a job in several candidates of the real election under virtual time, while everything around them goes wrong: the
 * network, the clocks, the processes, the lock. A seed decides all of it, so that what happened once happens again. Then
 * the faults end, somebody must lead again, everything closes, and the history is judged.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import type { Term } from "@effect-leader/core"
import * as History from "./History.ts"
import * as Plan from "./simulation/Plan.ts"
import * as Stage from "./simulation/Stage.ts"
import * as Timings from "./simulation/Timings.ts"

export type { Fault, Kind, Planned } from "./simulation/Plan.ts"

/**
 * What is simulated. Everything but the work has a default.
 *
 * @since 0.1.0
 */
export interface Options<A, E, R> {
  /** Runs in every term of every candidate, as under `whileLeading`. */
  readonly work: Effect.Effect<A, E, R>
  /** Decides everything that is left to chance. Default 1. */
  readonly seed?: number | string
  /** How many candidates compete. Default 3. */
  readonly candidates?: number
  /** For how much virtual time things go wrong. Default 5 minutes. */
  readonly duration?: Duration.Input
  /** The election's settings; the identities are the simulation's. */
  readonly settings?: Omit<LeaderElection.Options, "identity">
  /** What goes wrong and when. Default: the seed decides. */
  readonly faults?: ReadonlyArray<Plan.Planned>
  /** What may go wrong where the seed decides. Default: everything. */
  readonly kinds?: ReadonlyArray<Plan.Kind>
  /** Something between the candidates and the register, such as a broken lock that the simulation ought to notice. */
  readonly lock?: (lock: LeaseLock.LeaseLock["Service"]) => LeaseLock.LeaseLock["Service"]
  /** How fast the clocks of the candidates run, in order. Default: at random within `clockDrift`. */
  readonly rates?: ReadonlyArray<number>
}

/**
 * What became of it.
 *
 * @since 0.1.0
 */
export interface Report {
  readonly seed: number | string
  /** Empty if all is well. */
  readonly violations: ReadonlyArray<History.Violation>
  readonly history: ReadonlyArray<History.Entry>
  readonly faults: ReadonlyArray<Plan.Planned>
  /** What the work failed with, or the election itself. Such a process ends, and another follows. */
  readonly failures: ReadonlyArray<string>
  /** The violations and the timeline, for a person. */
  readonly explain: () => string
}

/**
 * Runs a job in candidates of the common election.
 *
 * **Example** (my job, under election faults)
 *
 * ```ts
 * import { LeaderElection } from "@effect-leader/core"
 * import { Simulation } from "@effect-leader/testkit"
 * import { Effect } from "effect"
 *
 * const job = Effect.gen(function* () {
 *   const term = yield* LeaderElection.Term
 *   yield* term.guard(Effect.sleep("50 millis")).pipe(Effect.delay("1 second"), Effect.forever)
 * })
 *
 * export const program = Effect.gen(function* () {
 *   const report = yield* Simulation.run({ work: job, seed: 42 })
 *   if (report.violations.length > 0) yield* Effect.die(report.explain())
 * })
 * ```
 *
 * @since 0.1.0
 */
export const run = <A, E, R>(
  options: Options<A, E, R>
): Effect.Effect<Report, LeaderElection.InvalidTimings, Exclude<R, Term.Term<LeaderElection.LeaderElection>>> =>
  runOf(LeaderElection.LeaderElection)(options)

/**
 * Runs a job in candidates of an election of its own.
 *
 * @since 0.1.0
 */
export const runOf =
  <Self, Id extends string>(election: LeaderElection.ServiceClass<Self, Id>) =>
  <A, E, R>(
    options: Options<A, E, R>
  ): Effect.Effect<Report, LeaderElection.InvalidTimings, Exclude<R, Term.Term<Self>>> =>
    Effect.gen(function* () {
      yield* checkSettings(election, options.settings)
      const seed = options.seed ?? 1
      const timings = Timings.of(options.settings ?? {})
      const names = Array.from({ length: options.candidates ?? 3 }, (_, index) => nameOf(index))
      const duration = Duration.toMillis(options.duration ?? "5 minutes")
      // Who reclaims records of its own identity promises that it never runs twice.
      const mayDouble = options.settings?.reclaimOwn !== true
      const kinds = options.kinds ?? Plan.everyKind.filter((kind) => mayDouble || kind !== "Double")
      const faults =
        options.faults ??
        (yield* Plan.random({ names, duration, timings, kinds }).pipe(Random.withSeed(`${seed}/plan`)))
      const history = yield* Stage.play({
        election,
        work: options.work,
        seed: String(seed),
        names,
        duration,
        timings,
        settings: options.settings ?? {},
        faults,
        rates: options.rates,
        wrapLock: options.lock ?? ((lock) => lock)
      })
      const violations = History.violations(history)
      const report: Report = {
        seed,
        violations,
        history,
        faults,
        failures: history.flatMap(({ event }) => (event._tag === "Failed" ? [event.cause] : [])),
        explain: () => explain(seed, violations, history, timings.lease)
      }
      return report
    }).pipe(
      // A simulation ends its own time, and says what happened by its history alone.
      Effect.provide(Layer.merge(TestClock.layer({ warningDelay: "1 minute" }), Logger.layer([])))
    )

/** Invalid settings are an error of the caller, not of the first candidate. */
const checkSettings = <Self, Id extends string>(
  election: LeaderElection.ServiceClass<Self, Id>,
  settings: LeaderElection.Options = {}
): Effect.Effect<void, LeaderElection.InvalidTimings> =>
  Effect.void.pipe(Effect.provide(Layer.fresh(election.layer(settings)).pipe(Layer.provide(LeaseLock.layerMemory()))))

const nameOf = (index: number): string => (index < 26 ? String.fromCodePoint(97 + index) : `candidate-${index}`)

const explain = (
  seed: number | string,
  violations: ReadonlyArray<History.Violation>,
  history: ReadonlyArray<History.Entry>,
  around: number
): string => {
  const first = violations[0]
  const window = first === undefined ? {} : { from: Math.max(0, first.at - around * 4), to: first.at + around * 2 }
  return [
    `seed ${seed}: ${violations.length === 0 ? "no violation" : `${violations.length} violations`}`,
    ...violations.map(({ at, invariant, what }) => `  ${invariant} at ${(at / 1000).toFixed(3)} s: ${what}`),
    History.timeline(history, window)
  ].join("\n")
}
