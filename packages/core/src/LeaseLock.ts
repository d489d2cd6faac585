/**
 * One lock is one compare-and-set register with change notices: read the current version, write the next record against
 * a version, follow the changes from a version. All safety of an election rests on `write` being atomic; `changes` only
 * makes it fast and may be silent at any time (protocol.md, "The lock service").
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

/**
 * What a lock stores: who holds it and for how long. `holder` is none after a release.
 *
 * @since 0.1.0
 */
export interface LeaseRecord {
  readonly holder: Option.Option<string>
  /**
   * A random name of the process that wrote the record, kept beside it (on Kubernetes in an annotation). Two processes
   * with one identity are told apart by it. Absent when the writer knows no incarnations, as client-go.
   */
  readonly incarnation?: string
  /** Where the holder can be reached, as `host:port`. Absent when it published none. */
  readonly address?: string
  readonly leaseDuration: Duration.Duration
  readonly acquiredAt: DateTime.Utc
  readonly renewedAt: DateTime.Utc
  /** How often the lock went from one holder to another. */
  readonly transitions: number
}

/**
 * One version of the register.
 *
 * @since 0.1.0
 */
export interface Observation {
  /** None while the register does not exist. */
  readonly record: Option.Option<LeaseRecord>
  /** What `write` compares with: opaque, equal only for the same version. */
  readonly version: string
  /**
   * Grows with every write to this lock, even across its deletion: the source of fencing tokens, and the order of
   * observations. An absent register has the greatest fence its observer knows of.
   */
  readonly fence: bigint
  /** Names the present life of a register that can be deleted and made again (on Kubernetes its uid). */
  readonly uid?: string
}

/**
 * Another write came first.
 *
 * @since 0.1.0
 */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {
  detail: Schema.optionalKey(Schema.String)
}) {}

/**
 * No answer, or a server error: the write may or may not have happened.
 *
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  detail: Schema.optionalKey(Schema.String),
  /** How long the server asks to be left alone. */
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {}

/**
 * Not allowed: the detail says the verb, the resource and what would allow it.
 *
 * @since 0.1.0
 */
export class Denied extends Schema.TaggedError<Denied>()("Denied", {
  detail: Schema.optionalKey(Schema.String)
}) {}

/**
 * The request or the stored record makes no sense.
 *
 * @since 0.1.0
 */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", {
  detail: Schema.optionalKey(Schema.String)
}) {}

const meaning: { readonly [K in LockError["reason"]["_tag"]]: string } = {
  Conflict: "another write came first",
  Unavailable: "no usable answer",
  Denied: "not allowed",
  Malformed: "the request or the stored record makes no sense"
}

/**
 * An operation on a lock failed. `lock` names it, `reason` says why.
 *
 * @since 0.1.0
 */
export class LockError extends Schema.TaggedError<LockError>()("LockError", {
  lock: Schema.String,
  reason: Schema.Union([Conflict, Unavailable, Denied, Malformed])
}) {
  override get message(): string {
    const text = `lock ${this.lock}: ${meaning[this.reason._tag]}`
    return this.reason.detail === undefined ? text : `${text}: ${this.reason.detail}`
  }

  /** Trying again without anybody changing anything may help. */
  get isTransient(): boolean {
    return this.reason._tag === "Conflict" || this.reason._tag === "Unavailable"
  }
}

/**
 * The lock as a service: what an election stands on, and what a Kubernetes Lease or memory implement.
 *
 * @since 0.1.0
 */
export class LeaseLock extends Context.Service<
  LeaseLock,
  {
    readonly name: string
    /** Set where durations are stored in whole units (Kubernetes: one second): others are refused, never cut. */
    readonly durationUnit?: Duration.Duration
    /** The current version: never older than any write that was answered before this read was sent. */
    readonly read: Effect.Effect<Observation, LockError>
    /** Writes `next` if `expected` is still the current version; fails with `Conflict` if not. */
    readonly write: (expected: Observation, next: LeaseRecord) => Effect.Effect<Observation, LockError>
    /**
     * What came after an observation; ends or fails when it cannot go on. It may skip versions but not the last one, and
     * may repeat.
     */
    readonly changes: (after: Observation) => Stream.Stream<Observation, LockError>
  }
>()("@effect-leader/core/LeaseLock") {}

/**
 * A lock in memory, for tests and for programs of one process: candidates that share the layer compete.
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 *
 * export const inOneProcess = LeaderElection.layer().pipe(Layer.provide(LeaseLock.layerMemory({ name: "reports" })))
 * ```
 *
 * @since 0.1.0
 */
export const layerMemory = (options: { readonly name?: string } = {}): Layer.Layer<LeaseLock> =>
  Layer.effect(
    LeaseLock,
    Effect.gen(function* () {
      const name = options.name ?? "memory"
      const register = yield* SubscriptionRef.make<Observation>({ record: Option.none(), version: "0", fence: 0n })
      return LeaseLock.of({
        name,
        read: SubscriptionRef.get(register),
        write: (expected, next) =>
          SubscriptionRef.modifyEffect(register, (current) => {
            if (current.version !== expected.version) {
              const detail = `version ${expected.version} was expected, ${current.version} is there`
              return Effect.fail(new LockError({ lock: name, reason: new Conflict({ detail }) }))
            }
            const fence = current.fence + 1n
            const written: Observation = { record: Option.some(next), version: String(fence), fence }
            return Effect.succeed([written, written] as const)
          }),
        changes: (after) =>
          Stream.filter(SubscriptionRef.changes(register), (observation) => observation.fence > after.fence)
      })
    })
  )
