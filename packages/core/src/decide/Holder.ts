/**
 * The rules of a holder: renew every retry period, count validity from the send of the last own success, stop at the
 * deadline or at the first sign of another holder, and give up in order when asked to.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { LeaseRecord, LockError, Observation } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import * as Backoff from "./Backoff.ts"
import * as Follower from "./Follower.ts"
import { elapsed, max, millisecond, min, rebased } from "./Instant.ts"
import type { Moment } from "./Instant.ts"
import { heldByNobody, leaseNanos, renewedAt, standing } from "./Register.ts"
import * as Releasing from "./Releasing.ts"
import { abandon, andThen, read, watch, withRole, write } from "./State.ts"
import type { Event, Request, Role, State, Step, Tenure, TermEnd } from "./State.ts"

type Leading = Extract<Role, { readonly _tag: "Leading" }>
type Yielding = Extract<Role, { readonly _tag: "Yielding" }>
type Stopping = Extract<Role, { readonly _tag: "Stopping" }>

/** Rule 8: whether work may run, by both clocks. */
export const isValid = (settings: Settings, role: Role, now: { readonly monotonic: bigint; readonly wall: bigint }) =>
  (role._tag === "Leading" || role._tag === "Yielding") && remaining(settings, role.tenure, now) > 0n

export const remaining = (
  settings: Settings,
  tenure: Tenure,
  now: { readonly monotonic: bigint; readonly wall: bigint }
): bigint => max(0n, settings.renewDeadline - elapsed(tenure.sentAt, now))

export const step = (
  settings: Settings,
  state: State,
  former: Leading | Yielding,
  event: Event,
  request: Request | undefined,
  now: Moment
): Step => {
  const sentAt = rebased(former.tenure.sentAt, now)
  const role = { ...former, tenure: { ...former.tenure, sentAt } }
  if (event._tag === "WorkEnded") {
    return role._tag === "Yielding" ? workDrained(settings, state, role.next, now) : withRole(state, role)
  }
  // Before anything else, and whatever the event says: rules 3, 4 and 5.
  const isOver =
    remaining(settings, role.tenure, now) === 0n || (event._tag === "FoundInvalid" && event.token === role.tenure.token)
  const loss = isOver ? "Expired" : lossOf(settings, state, role.tenure)
  if (loss !== undefined) return lose(settings, isOver ? state : vacated(settings, state, now), role, loss, event, now)
  switch (event._tag) {
    case "Tick":
      return role._tag === "Yielding" && now.monotonic >= role.drainBy
        ? stop(settings, state, role, role.end, role.next, now)
        : upkeep(settings, state, role, now)
    case "Noticed":
      return withTenure(state, role, restored(settings, state, role.tenure, now))
    case "ReadAnswered":
      return Result.isSuccess(event.result)
        ? renewAgain(settings, state, role, now)
        : withTenure(state, role, failed(settings, role.tenure, event.result.failure, now))
    case "WriteAnswered":
      if (Result.isSuccess(event.result)) return withTenure(state, role, renewed(settings, role.tenure, request, now))
      return event.result.failure.reason._tag === "Conflict"
        ? conflicted(settings, state, role, request, now)
        : withTenure(state, role, failed(settings, role.tenure, event.result.failure, now))
    case "ResignAsked":
      return role._tag === "Leading" ? yieldTerm(settings, state, role, "Resigned", now) : withRole(state, role)
    case "ShutdownAsked":
      return role._tag === "Leading"
        ? yieldTerm(settings, state, role, "Shutdown", now)
        : withRole(state, { ...role, next: "Leave" })
    case "WatchEnded":
    case "FoundInvalid":
      return withRole(state, role)
  }
}

export const wakeAt = (settings: Settings, state: State, role: Leading | Yielding): bigint => {
  const deadline = role.tenure.sentAt.monotonic + settings.renewDeadline
  const renewal = state.request === undefined ? role.tenure.renewAt : state.request.until
  const drain = role._tag === "Yielding" ? role.drainBy : deadline
  const watchAgain = state.watch._tag === "Down" ? state.watch.retryAt : deadline
  return min(deadline, renewal, drain, watchAgain)
}

/** After the end of the term, while the work still stops. Leadership is gone, whatever an answer or a notice says. */
export const stepStopping = (settings: Settings, state: State, role: Stopping, event: Event, now: Moment): Step => {
  switch (event._tag) {
    case "WorkEnded":
      return role.next === "Compete"
        ? [Follower.begin(settings, state, now), []]
        : workDrained(settings, state, role.next, now)
    case "ShutdownAsked":
      return role.overrunAt === undefined
        ? withRole(state, { _tag: "Stopped" })
        : withRole(state, { ...role, next: "Leave" })
    case "Tick":
      if (role.overrunAt === undefined || now.monotonic < role.overrunAt) return withRole(state, role)
      return withRole(state, role.next === "Leave" ? { _tag: "Stopped" } : { ...role, overrunAt: undefined }, {
        _tag: "ReportOverrun"
      })
    case "Noticed":
    case "ReadAnswered":
    case "WriteAnswered":
    case "WatchEnded":
    case "FoundInvalid":
    case "ResignAsked":
      return withRole(state, role)
  }
}

/** Rule 4: what is known of the lock says that somebody else has it, or that it is not the lock we took. */
const lossOf = (settings: Settings, state: State, tenure: Tenure): TermEnd | undefined => {
  if (state.seen === undefined) return undefined
  const { observation } = state.seen
  switch (standing(settings, observation)) {
    case "Own":
      return observation.uid === tenure.uid ? undefined : "LockDeleted"
    case "Absent":
      return "LockDeleted"
    case "Free":
    case "Namesake":
    case "Foreign":
      return "Superseded"
  }
}

/** The lock was taken from us, but by nobody: it is ours to take again when our own work has ended. */
const vacated = (settings: Settings, state: State, now: Moment): State => {
  if (state.seen === undefined) return state
  const left = standing(settings, state.seen.observation)
  return left === "Absent" || left === "Free" ? { ...state, seen: heldByNobody(state.seen, now) } : state
}

/** A shutdown that came with the loss still counts. */
const lose = (
  settings: Settings,
  state: State,
  role: Leading | Yielding,
  end: TermEnd,
  event: Event,
  now: Moment
): Step =>
  andThen(stop(settings, state, role, end, role._tag === "Yielding" ? role.next : "Compete", now), (stopped) =>
    stopped.role._tag === "Stopping" && event._tag === "ShutdownAsked"
      ? stepStopping(settings, stopped, stopped.role, event, now)
      : [stopped, []]
  )

/** Rule 3: no answer is waited for, and the work has what is left of the lease, by both clocks' rates, to end. */
const stop = (
  settings: Settings,
  state: State,
  role: Leading | Yielding,
  end: TermEnd,
  next: Stopping["next"],
  now: Moment
): Step =>
  andThen(abandon(state), (free) => {
    // A process that slept through all of it has only now told its work to stop.
    const overrunAt = max(role.tenure.sentAt.monotonic + settings.stopBy, now.monotonic + 100n * millisecond)
    const stopping: Stopping = { _tag: "Stopping", tenure: role.tenure, end, overrunAt, next }
    return role._tag === "Yielding"
      ? withRole(free, stopping, { _tag: "Invalidate" })
      : withRole(free, stopping, { _tag: "Invalidate" }, { _tag: "InterruptWork" })
  })

/** Rule 7: the work first, then the lock. */
const yieldTerm = (
  settings: Settings,
  state: State,
  role: Leading,
  end: "Resigned" | "Shutdown",
  now: Moment
): Step => {
  const drainBy = now.monotonic + settings.drainTimeout
  const next = end === "Resigned" ? "Rest" : "Leave"
  return withRole(state, { _tag: "Yielding", tenure: role.tenure, end, drainBy, next }, { _tag: "InterruptWork" })
}

const workDrained = (settings: Settings, state: State, next: "Rest" | "Leave", now: Moment): Step =>
  next === "Leave" && !settings.releaseOnShutdown
    ? andThen(abandon(state), (free) => withRole(free, { _tag: "Stopped" }))
    : Releasing.begin(settings, state, next, now)

/** Rule 2: one PUT every retry period, and the watch that tells of a loss early. */
const upkeep = (settings: Settings, state: State, role: Leading | Yielding, now: Moment): Step => {
  const watching: Step =
    state.seen !== undefined && state.watch._tag === "Down" && state.watch.retryAt <= now.monotonic
      ? watch({ ...state, role }, state.seen.observation)
      : withRole(state, role)
  return state.request === undefined && role.tenure.renewAt <= now.monotonic
    ? andThen(watching, (next) => renew(settings, next, role, now))
    : watching
}

const renew = (settings: Settings, state: State, role: Leading | Yielding, now: Moment): Step => {
  if (state.seen === undefined) return withRole(state, role)
  const { observation } = state.seen
  return write(
    { ...state, role },
    observation,
    renewal(settings, observation, role.tenure, now),
    now,
    until(settings, role.tenure, now)
  )
}

const renewal = (settings: Settings, observation: Observation, tenure: Tenure, now: Moment): LeaseRecord => ({
  holder: Option.some(settings.identity),
  incarnation: settings.incarnation,
  ...(settings.address === undefined ? {} : { address: settings.address }),
  leaseDuration: Duration.nanos(settings.leaseDuration),
  acquiredAt: tenure.since,
  renewedAt: renewedAt(observation.record, now),
  transitions: Option.match(observation.record, { onNone: () => 0, onSome: (record) => record.transitions })
})

/** Rule 1: only a success of one's own write, and from when it was sent. */
const renewed = (settings: Settings, tenure: Tenure, request: Request | undefined, now: Moment): Tenure =>
  request === undefined
    ? tenure
    : {
        ...tenure,
        sentAt: rebased(request.sentAt, now),
        renewAt: request.sentAt.monotonic + settings.retryPeriod,
        failures: 0,
        conflicts: 0
      }

/** Rules 5 and 6: read, adopt the version if the record is still the own one, and write again, in one round. */
const conflicted = (
  settings: Settings,
  state: State,
  former: Leading | Yielding,
  request: Request | undefined,
  now: Moment
): Step => {
  const tenure = { ...former.tenure, conflicts: former.tenure.conflicts + 1 }
  const role = { ...former, tenure }
  return state.seen?.observation.version === request?.against
    ? read({ ...state, role }, now, until(settings, tenure, now))
    : renewAgain(settings, state, role, now)
}

/** At once, but for a lock that goes on refusing: an admission webhook may answer 409 to everything. */
const renewAgain = (settings: Settings, state: State, role: Leading | Yielding, now: Moment): Step => {
  const { conflicts } = role.tenure
  if (conflicts <= 1) return renew(settings, state, role, now)
  const renewAt = now.monotonic + Backoff.repeated(settings, conflicts - 1, now)
  return withTenure(state, role, { ...role.tenure, renewAt })
}

const failed = (settings: Settings, tenure: Tenure, error: LockError, now: Moment): Tenure => {
  const failures = tenure.failures + 1
  const backoff = Backoff.transient(settings, error, failures, now)
  // The last try that can still be answered in time is not given away to a long Retry-After.
  const lastTry = tenure.sentAt.monotonic + settings.renewDeadline - settings.requestTimeout
  const renewAt = lastTry > now.monotonic ? min(now.monotonic + backoff, lastTry) : now.monotonic + backoff
  return { ...tenure, failures, renewAt }
}

/** Somebody shortened our lease: others may go by that, so the full one is written again at once. */
const restored = (settings: Settings, state: State, tenure: Tenure, now: Moment): Tenure => {
  const shortened =
    state.seen !== undefined &&
    Option.exists(state.seen.observation.record, (record) => leaseNanos(record) < settings.leaseDuration)
  return shortened ? { ...tenure, renewAt: now.monotonic } : tenure
}

const until = (settings: Settings, tenure: Tenure, now: Moment): bigint =>
  min(now.monotonic + settings.requestTimeout, tenure.sentAt.monotonic + settings.renewDeadline)

const withTenure = (state: State, role: Leading | Yielding, tenure: Tenure): Step =>
  withRole(state, { ...role, tenure })
