/**
 * Whether a lock does what the election protocol relies on: atomic compare-and-set, versions and fences, changes that
 * never lose the last one, removal, and interruption that leaves nothing behind. One list of cases for every lock, be it
 * a Kubernetes object, a row in a database or memory; any test runner can loop over it. Each case has a register of its
 * own, and works in real time, also in a test on a virtual clock.
 *
 * The lock must be healthy meanwhile: an answer that takes longer than `patience`, an error other than a conflict, and
 * changes that end count as failures.
 *
 * @since 0.1.0
 */
import { LeaseLock } from "@effect-leader/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import { changes } from "./conformance/Changes.ts"
import { interruption, probed } from "./conformance/Interruption.ts"
import { removal } from "./conformance/Removal.ts"
import * as Trial from "./conformance/Trial.ts"
import { type Test, writing } from "./conformance/Writing.ts"

export { ConformanceFailure } from "./conformance/Trial.ts"

/**
 * The lock under test.
 *
 * @since 0.1.0
 */
export interface Subject<Provided, E, R, E2 = never, R2 = never, R3 = never> {
  /**
   * A layer whose every build is a register of its own with one handle on it, such as a lock in memory. Or a function of
   * a register's name: every build with the same name is another handle on the same register, as another process has it.
   * The names suit Kubernetes, and a register of that name must not exist before.
   */
  readonly layer:
    | Layer.Layer<LeaseLock.LeaseLock | Provided, E, R>
    | ((register: string) => Layer.Layer<LeaseLock.LeaseLock | Provided, E, R>)
  /**
   * Somebody removes the register, if it exists. Runs with what the first handle's layer provides. Without it the cases
   * about removal are left out.
   */
  readonly remove?: (register: string) => Effect.Effect<unknown, E2, R2>
  /** How many watches and requests of the first handle are open. Without it nobody looks. */
  readonly open?: (register: string) => Effect.Effect<number, never, R3>
  /** The finest time that the lock keeps. Default 1 ms. (Durations are tested in the lock's own `durationUnit`.) */
  readonly timeUnit?: Duration.Input
  /** How long an answer, or a notice, may take. Default 10 s. */
  readonly patience?: Duration.Input
  /** How long to listen where nothing should be told. Default 300 ms. */
  readonly quiet?: Duration.Input
}

/**
 * One case: its name says what the lock must do, and a failure what was expected of which operation.
 *
 * @since 0.1.0
 */
export interface Case<E, R> {
  readonly name: string
  readonly test: Effect.Effect<void, Trial.ConformanceFailure | E, R>
}

/**
 * The cases for a lock, independent of one another.
 *
 * **Example** (with `@effect/vitest`)
 *
 * ```ts
 * import { LeaseLock } from "@effect-leader/core"
 * import { LockConformance } from "@effect-leader/testkit"
 * import { describe, it } from "@effect/vitest"
 *
 * describe("the lock in memory", () => {
 *   for (const { name, test } of LockConformance.cases({ layer: LeaseLock.layerMemory() })) {
 *     it.effect(name, () => test)
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
export const cases = <E, R, Provided = never, E2 = never, R2 = never, R3 = never>(
  subject: Subject<Provided, E, R, E2, R2, R3>
): ReadonlyArray<Case<E | E2, R | Exclude<R2 | R3, LeaseLock.LeaseLock | Provided>>> =>
  [
    ...writing,
    ...changes,
    ...interruption,
    ...(subject.open === undefined ? [] : probed),
    ...(subject.remove === undefined ? [] : removal)
  ].map(([name, test]) => ({ name, test: tried(subject, name, test) }))

/** The last handle is the stranger. */
const handles = 5

const tried = <Provided, E, R, E2, R2, R3>(subject: Subject<Provided, E, R, E2, R2, R3>, name: string, test: Test) =>
  Effect.gen(function* () {
    const { layer, open, remove } = subject
    const register = `conformance-${randomUUID()}`
    const first = yield* Layer.build(Layer.fresh(typeof layer === "function" ? layer(register) : layer))
    const lock = Context.get(first, LeaseLock.LeaseLock)
    const others =
      typeof layer === "function"
        ? yield* Effect.replicateEffect(Layer.build(Layer.fresh(layer(register))), handles - 1)
        : []
    const locks = [lock, ...others.map((context) => Context.get(context, LeaseLock.LeaseLock))]
    const outside = yield* Effect.context<Exclude<R2 | R3, LeaseLock.LeaseLock | Provided>>()
    const there = <A, E>(effect: Effect.Effect<A, E, R2 | R3>) =>
      effect.pipe(Effect.provideContext(first), Effect.provideContext(outside))
    const removed = remove === undefined ? Effect.void : there(remove(register))
    yield* Effect.addFinalizer(() => Effect.ignoreCause(removed))
    const setting: Trial.Setting<E2> = {
      case: name,
      locks,
      remove: Effect.asVoid(removed),
      open: open === undefined ? Option.none() : Option.some(there(open(register))),
      timeUnit: Duration.fromInputUnsafe(subject.timeUnit ?? "1 millis"),
      patience: Duration.fromInputUnsafe(subject.patience ?? "10 seconds"),
      quiet: Duration.fromInputUnsafe(subject.quiet ?? "300 millis")
    }
    yield* test(Trial.make(setting, lock))
  }).pipe(Effect.scoped, Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))
