/**
 * What leader work sees: the term in which it runs. Work requires the `Term` of its election, so code that needs
 * leadership does not compile outside it.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"

/**
 * In the requirements of an effect: this code runs only inside a term of the election `Self`.
 *
 * @since 0.1.0
 */
export interface Term<in out Self> {
  readonly _Election: Types.Invariant<Self>
}

/**
 * Leader work was asked for outside a term, or its term ended.
 *
 * @since 0.1.0
 */
export class NotLeading extends Schema.TaggedError<NotLeading>()("NotLeading", { reason: Schema.String }) {
  override get message(): string {
    return `not leading: ${this.reason}`
  }
}

/**
 * One term: from winning the lock to the end of all work that began under it.
 *
 * @since 0.1.0
 */
export interface TermShape {
  /**
   * The fencing token: grows with every acquisition, even across deletion of the lock. A paused leader cannot be
   * stopped by any lease; a store that refuses older tokens can (protocol.md, "Fencing").
   */
  readonly token: bigint
  readonly since: DateTime.Utc
  /** Synchronous, reads the clock: true only while no other candidate can have taken over. */
  readonly isValid: () => boolean
  /** How long the term is valid if no further renewal succeeds; zero once it has ended. */
  readonly remaining: Effect.Effect<Duration.Duration>
  /**
   * Runs the effect if the term is still valid at the very moment it starts, and interrupts it when the term ends.
   * `NotLeading` in both cases. The lock is not released while a guarded effect runs.
   */
  readonly guard: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | NotLeading, R>
}
