/**
 * What a case of the conformance suite works with: several handles on one register of its own, each of whose operations
 * either does what is asked, within a time, or fails the case with what was expected of it and what it did instead.
 */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { LeaseLock } from "@effect-leader/core"

export type Lock = LeaseLock.LeaseLock["Service"]
export type Observation = LeaseLock.Observation
export type LeaseRecord = LeaseLock.LeaseRecord

const Operation = Schema.Literals(["read", "write", "changes", "remove"])
type Operation = typeof Operation.Type

/**
 * A lock does not do what the protocol relies on: what was expected of which operation, and what it did instead.
 *
 * @since 0.1.0
 */
export class ConformanceFailure extends Schema.TaggedError<ConformanceFailure>()("ConformanceFailure", {
  lock: Schema.String,
  case: Schema.String,
  operation: Operation,
  expected: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `lock ${this.lock}, "${this.case}": ${this.operation} should ${this.expected}, but ${this.found}`
  }
}

type Checked<A> = Effect.Effect<A, ConformanceFailure>

/** One handle on the register, as one process has it. */
export interface Handle {
  readonly lock: Lock
  readonly read: Checked<Observation>
  /** A write that has to win. */
  readonly write: (expected: Observation, next: LeaseRecord) => Checked<Observation>
  /** A write that may win or conflict: none for a conflict. */
  readonly tryWrite: (expected: Observation, next: LeaseRecord) => Checked<Option.Option<Observation>>
  /** A write that has to conflict. */
  readonly loses: (expected: Observation, next: LeaseRecord) => Checked<void>
  /** Reads changes until the scope ends. */
  readonly follow: (after: Observation) => Effect.Effect<Follower, never, Scope.Scope>
}

export interface Follower {
  /** Waits for a notice; everything else that is told meanwhile is passed over. */
  readonly until: (expected: string, isIt: (told: Observation) => boolean) => Checked<Observation>
  /** What is told within a while. */
  readonly during: (duration: Duration.Duration) => Checked<ReadonlyArray<Observation>>
}

export interface Trial<E> {
  readonly handles: readonly [Handle, Handle, ...Array<Handle>]
  /** One that nobody uses before the case does. */
  readonly stranger: Handle
  readonly remove: Effect.Effect<void, E>
  /** How many watches and requests are open; none if the lock does not tell. */
  readonly open: Option.Option<Effect.Effect<number, E>>
  /** The finest time and the shortest duration that the lock keeps. */
  readonly timeUnit: Duration.Duration
  readonly durationUnit: Duration.Duration
  readonly patience: Duration.Duration
  readonly quiet: Duration.Duration
  /** A record that differs from all before it. */
  readonly record: (holder: string, change?: Partial<LeaseRecord>) => LeaseRecord
  readonly check: (
    operation: Operation,
    holds: boolean,
    expected: string,
    found: () => string
  ) => Effect.Effect<void, ConformanceFailure>
}

export interface Setting<E> {
  readonly case: string
  readonly locks: ReadonlyArray<Lock>
  readonly remove: Effect.Effect<void, E>
  readonly open: Option.Option<Effect.Effect<number, E>>
  readonly timeUnit: Duration.Duration
  readonly patience: Duration.Duration
  readonly quiet: Duration.Duration
}

export const make = <E>(setting: Setting<E>, first: Lock): Trial<E> => {
  const durationUnit = first.durationUnit ?? Duration.millis(1)
  const unit = Duration.toMillis(setting.timeUnit)
  let records = 0

  const check: Trial<E>["check"] = (operation, holds, expected, found) =>
    holds
      ? Effect.void
      : new ConformanceFailure({ lock: first.name, case: setting.case, operation, expected, found: found() })
  const fail = (operation: Operation, expected: string, found: string): Checked<never> =>
    new ConformanceFailure({ lock: first.name, case: setting.case, operation, expected, found })

  const within = <A, E>(effect: Effect.Effect<A, E>, operation: Operation, expected: string) =>
    Effect.timeoutOrElse(effect, {
      duration: setting.patience,
      orElse: () => fail(operation, expected, `nothing came within ${Duration.format(setting.patience)}`)
    })

  const handleOf = (lock: Lock): Handle => {
    const tryWrite: Handle["tryWrite"] = (expected, next) =>
      Effect.suspend(() => lock.write(expected, next)).pipe(
        Effect.exit,
        (exit) => within(exit, "write", "be answered"),
        Effect.flatMap((exit) => {
          if (Exit.isSuccess(exit)) return Effect.succeedSome(exit.value)
          const conflict = Option.exists(Cause.findErrorOption(exit.cause), (error) => isConflict(lock, error))
          return conflict
            ? Effect.succeedNone
            : fail("write", `succeed, or fail with the LockError Conflict of ${lock.name}`, sayCause(exit.cause))
        })
      )
    return {
      lock,
      tryWrite,
      read: Effect.suspend(() => lock.read).pipe(
        Effect.exit,
        (exit) => within(exit, "read", "be answered"),
        Effect.flatMap((exit) =>
          Exit.isSuccess(exit) ? Effect.succeed(exit.value) : fail("read", "succeed", sayCause(exit.cause))
        )
      ),
      write: (expected, next) =>
        Effect.flatMap(tryWrite(expected, next), (written) =>
          Option.isSome(written)
            ? Effect.succeed(written.value)
            : fail("write", `win against the current version (${say(expected)})`, "it conflicted")
        ),
      loses: (expected, next) =>
        Effect.flatMap(tryWrite(expected, next), (written) =>
          Option.isNone(written)
            ? Effect.void
            : fail(
                "write",
                `conflict against a version that is not the current one (${say(expected)})`,
                `it answered ${say(written.value)}`
              )
        ),
      follow: (after) => follow(lock, after)
    }
  }

  const follow = Effect.fnUntraced(function* (lock: Lock, after: Observation) {
    const told = yield* Queue.unbounded<Observation, string | Cause.Done>()
    yield* Stream.suspend(() => lock.changes(after)).pipe(
      Stream.runForEach((observation) => Queue.offer(told, observation)),
      Effect.exit,
      Effect.flatMap((exit) =>
        Queue.fail(told, Exit.isSuccess(exit) ? "they ended" : `they ended: ${sayCause(exit.cause)}`)
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    const next = (expected: string) =>
      Effect.catch(Queue.take(told), (why) => fail("changes", expected, typeof why === "string" ? why : "they ended"))
    const follower: Follower = {
      until: (expected, isIt) =>
        Effect.suspend(() => {
          const seen: Array<string> = []
          const search: Checked<Observation> = Effect.flatMap(next(expected), (observation) => {
            seen.push(say(observation))
            return isIt(observation) ? Effect.succeed(observation) : search
          })
          return Effect.timeoutOrElse(search, {
            duration: setting.patience,
            orElse: () =>
              fail(
                "changes",
                expected,
                `within ${Duration.format(setting.patience)} they told ${seen.length === 0 ? "nothing" : `only of ${seen.slice(-3).join("; ")}`}`
              )
          })
        }),
      during: (duration) =>
        Effect.suspend(() => {
          const seen: Array<Observation> = []
          const collect = Effect.forever(
            Effect.map(next("go on"), (observation) => {
              seen.push(observation)
            })
          )
          return Effect.as(Effect.timeoutOption(collect, duration), seen)
        })
    }
    return follower
  })

  const [a, b, ...others] = setting.locks.map(handleOf)
  return {
    handles: [a ?? handleOf(first), b ?? handleOf(first), ...others.slice(0, -1)],
    stranger: others.at(-1) ?? handleOf(first),
    remove: setting.remove,
    open: setting.open,
    timeUnit: setting.timeUnit,
    durationUnit,
    patience: setting.patience,
    quiet: setting.quiet,
    record: (holder, change) => {
      records += 1
      return {
        holder: Option.some(holder),
        leaseDuration: Duration.times(durationUnit, Math.max(1, Math.round(15_000 / Duration.toMillis(durationUnit)))),
        acquiredAt: DateTime.makeUnsafe(era),
        renewedAt: DateTime.makeUnsafe(era + records * unit),
        transitions: 0,
        ...change
      }
    },
    check
  }
}

/** 2026-01-02T03:04:05Z: whole in every unit of time. */
const era = 1_767_323_045_000

const isConflict = (lock: Lock, error: unknown): boolean =>
  error instanceof LeaseLock.LockError && error.reason._tag === "Conflict" && error.lock === lock.name

const sayCause = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => `it did not fail but died or was interrupted: ${String(Cause.squash(cause))}`,
    onSome: (error) =>
      error instanceof LeaseLock.LockError
        ? `it failed with ${error.reason._tag}: ${error.message}`
        : `it failed with what is no LockError: ${String(error)}`
  })

export const holderOf = ({ record }: Observation): string | undefined =>
  Option.getOrUndefined(Option.flatMap(record, ({ holder }) => holder))

export const say = (observation: Observation): string => {
  const record = Option.match(observation.record, {
    onNone: () => "absent",
    onSome: (it) => Option.match(it.holder, { onNone: () => "released", onSome: (holder) => `held by ${holder}` })
  })
  const life = observation.uid === undefined ? "" : ` of ${observation.uid}`
  return `${record} (version ${observation.version}${life}, fence ${observation.fence})`
}

const facts = (record: LeaseRecord) => ({
  holder: Option.getOrElse(record.holder, () => "none"),
  incarnation: record.incarnation ?? "none",
  address: record.address ?? "none",
  leaseDuration: Duration.format(record.leaseDuration),
  acquiredAt: DateTime.formatIso(record.acquiredAt),
  renewedAt: DateTime.formatIso(record.renewedAt),
  transitions: String(record.transitions)
})

/** What differs between two records, by field; nothing if they are the same to the protocol. */
export const differences = (
  wanted: LeaseRecord,
  got: Option.Option<LeaseRecord>,
  except: ReadonlyArray<keyof LeaseRecord> = []
): ReadonlyArray<string> => {
  if (Option.isNone(got)) return ["there is no record"]
  const other = new Map(Object.entries(facts(got.value)))
  return Object.entries(facts(wanted)).flatMap(([field, value]) =>
    other.get(field) === value || except.some((it) => it === field)
      ? []
      : [`${field} is ${other.get(field)} instead of ${value}`]
  )
}

/** What differs between two observations that should be of one version. */
export const discrepancies = (wanted: Observation, got: Observation): ReadonlyArray<string> => [
  ...(wanted.version === got.version ? [] : [`version is ${got.version} instead of ${wanted.version}`]),
  ...(wanted.fence === got.fence ? [] : [`fence is ${got.fence} instead of ${wanted.fence}`]),
  ...(wanted.uid === got.uid ? [] : [`uid is ${got.uid} instead of ${wanted.uid}`]),
  ...(Option.isNone(wanted.record)
    ? Option.isNone(got.record)
      ? []
      : ["there is a record"]
    : differences(wanted.record.value, got.record))
]
