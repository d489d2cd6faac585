/**
 * The words of the decide room: a candidate's state, what can happen to it, and what it can ask to be done. One request
 * to the lock is under way at a time, beside the watch.
 */
import type * as DateTime from "effect/DateTime"
import type * as Result from "effect/Result"
import type { LeaseRecord, LockError, Observation } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import type { Instant, Moment } from "./Instant.ts"
import type { Seen } from "./Register.ts"

/** Why a term ended. */
export type TermEnd = "Expired" | "Superseded" | "LockDeleted" | "Resigned" | "Shutdown"

export interface State {
  readonly seen: Seen | undefined
  readonly watch: Watch
  readonly request: Request | undefined
  readonly requests: number
  /** The window in which the next contest falls at random (protocol.md, "Contention"). */
  readonly spread: bigint
  readonly role: Role
}

export type Watch =
  | { readonly _tag: "Open"; readonly failures: number }
  | { readonly _tag: "Down"; readonly failures: number; readonly retryAt: bigint }

export interface Request {
  readonly id: number
  readonly kind: "Read" | "Write"
  readonly sentAt: Instant
  /** When nobody waits for the answer any more. */
  readonly until: bigint
  /** The version that a write was made against. */
  readonly against: string
}

/** One holding of the lock, from the acquiring write on. */
export interface Tenure {
  readonly token: bigint
  readonly since: DateTime.Utc
  readonly uid: string | undefined
  /** When the last successful write of our own was sent: all validity runs from here (rule 1 of the holder). */
  readonly sentAt: Instant
  readonly renewAt: bigint
  /** Since the last success: requests that failed, and writes that conflicted. */
  readonly failures: number
  readonly conflicts: number
}

export interface Trouble {
  readonly error: LockError
  readonly during: "Read" | "Write" | "Watch"
  /** How often in a row. */
  readonly times: number
}

export type Role =
  | {
      readonly _tag: "Following"
      /** The next read, when there is a reason for one. */
      readonly readAt: bigint | undefined
      /** The next attempt; none while it is in doubt what the lock holds. */
      readonly contestAt: bigint | undefined
      /** After a resignation others go first. */
      readonly restUntil: bigint
      /** Attempts in a row that another write came before. */
      readonly conflicts: number
      /** Attempts in a row that got no answer. Each may have been carried out, and kept the others away. */
      readonly unanswered: number
      readonly trouble: Trouble | undefined
    }
  | { readonly _tag: "Leading"; readonly tenure: Tenure }
  /** Giving up voluntarily: renews while the work drains. */
  | {
      readonly _tag: "Yielding"
      readonly tenure: Tenure
      readonly end: TermEnd
      readonly drainBy: bigint
      readonly next: "Rest" | "Leave"
    }
  /** Lost, or drained for too long: renews no more and waits for the work to end. */
  | {
      readonly _tag: "Stopping"
      readonly tenure: Tenure
      readonly end: TermEnd
      /** When work that still runs becomes an overrun; none once that was said. */
      readonly overrunAt: bigint | undefined
      readonly next: "Compete" | "Rest" | "Leave"
    }
  /** No work runs and the lock may be ours: gives it back. */
  | {
      readonly _tag: "Releasing"
      readonly until: bigint
      readonly retryAt: bigint
      readonly failures: number
      readonly next: "Rest" | "Leave"
    }
  | { readonly _tag: "Stopped" }

export type Event =
  | { readonly _tag: "Tick" }
  | { readonly _tag: "ReadAnswered"; readonly id: number; readonly result: Result.Result<Observation, LockError> }
  | { readonly _tag: "WriteAnswered"; readonly id: number; readonly result: Result.Result<Observation, LockError> }
  | { readonly _tag: "Noticed"; readonly observation: Observation }
  | { readonly _tag: "WatchEnded"; readonly error: LockError | undefined }
  | { readonly _tag: "WorkEnded" }
  /** A check at a piece of work found the term past its deadline, by one of the two clocks. */
  | { readonly _tag: "FoundInvalid"; readonly token: bigint }
  | { readonly _tag: "ResignAsked" }
  | { readonly _tag: "ShutdownAsked" }

export type Action =
  | { readonly _tag: "Read"; readonly id: number }
  | { readonly _tag: "Write"; readonly id: number; readonly expected: Observation; readonly next: LeaseRecord }
  /** Stop waiting for an answer. */
  | { readonly _tag: "Abandon"; readonly id: number }
  /** Follow the changes from here, instead of any earlier watch. */
  | { readonly _tag: "Watch"; readonly after: Observation }
  | { readonly _tag: "BeginTerm"; readonly token: bigint; readonly since: DateTime.Utc }
  /** Interrupt all work of the term at once; `WorkEnded` follows when the last finalizer has ended. */
  | { readonly _tag: "InterruptWork" }
  /** Nothing may start in the term any more, not even in finalizers. */
  | { readonly _tag: "Invalidate" }
  | { readonly _tag: "ReportOverrun" }

export type Step = readonly [State, ReadonlyArray<Action>]

export const withRole = (state: State, role: Role, ...actions: ReadonlyArray<Action>): Step => [
  { ...state, role },
  actions
]

/** Sends a read. `until` bounds the wait. */
export const read = (state: State, now: Moment, until: bigint): Step => {
  const id = state.requests + 1
  const against = state.seen?.observation.version ?? ""
  const request: Request = { id, kind: "Read", sentAt: sentAt(now), until, against }
  return [{ ...state, request, requests: id }, [{ _tag: "Read", id }]]
}

/** Sends a write against the version seen last. */
export const write = (state: State, expected: Observation, next: LeaseRecord, now: Moment, until: bigint): Step => {
  const id = state.requests + 1
  const request: Request = { id, kind: "Write", sentAt: sentAt(now), until, against: expected.version }
  return [{ ...state, request, requests: id }, [{ _tag: "Write", id, expected, next }]]
}

/** Follows the changes from the version seen last. */
export const watch = (state: State, after: Observation): Step => [
  { ...state, watch: { _tag: "Open", failures: state.watch.failures } },
  [{ _tag: "Watch", after }]
]

export const abandon = (state: State): Step =>
  state.request === undefined
    ? [state, []]
    : [{ ...state, request: undefined }, [{ _tag: "Abandon", id: state.request.id }]]

export const andThen = ([state, actions]: Step, next: (state: State) => Step): Step => {
  const [after, more] = next(state)
  return [after, [...actions, ...more]]
}

export const requestUntil = (settings: Settings, now: Moment): bigint => now.monotonic + settings.requestTimeout

const sentAt = (now: Moment): Instant => ({ monotonic: now.monotonic, wall: now.wall })
