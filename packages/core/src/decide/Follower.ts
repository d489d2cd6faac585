/**
 * The rules of a follower: watch the record, poll when the watch is in trouble, and contest the lock as soon as nobody
 * can be holding it, by compare-and-set against what was seen.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { LeaseRecord, LockError, Observation } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import * as Backoff from "./Backoff.ts"
import { elapsed, jittered, max, millisecond, min, rebased, share } from "./Instant.ts"
import type { Moment } from "./Instant.ts"
import { renewedAt, standing } from "./Register.ts"
import type { Seen } from "./Register.ts"
import { abandon, andThen, read, requestUntil, watch, withRole, write } from "./State.ts"
import type { Event, Request, Role, State, Step, Trouble } from "./State.ts"

export type Following = Extract<Role, { readonly _tag: "Following" }>

/** What the lock holds is not known: after a write that conflicted, or may have happened. */
export const isInDoubt = (state: State, role: Following): boolean =>
  state.seen !== undefined && role.contestAt === undefined

/** Competes, from now or after a rest in which others go first. */
export const begin = (settings: Settings, state: State, now: Moment, restUntil: bigint = now.monotonic): State => ({
  ...state,
  role: replan(settings, state, { ...nothingPlanned, restUntil }, now)
})

/** How long others go first after a resignation: a candidate that polls has had its turn as well. */
export const restAfterResign = (settings: Settings): bigint =>
  share(settings.retryPeriod, 1.2) + settings.requestTimeout

/**
 * The state already knows what the event tells of the lock; `news` says whether that was anything new, and `request` is
 * the one that an answer belongs to.
 */
export const step = (
  settings: Settings,
  state: State,
  role: Following,
  event: Event,
  request: Request | undefined,
  news: boolean,
  now: Moment
): Step => {
  switch (event._tag) {
    case "Tick":
      return act(settings, state, role, now)
    case "Noticed": {
      if (news) return act(settings, state, replan(settings, state, outwon(recovered(role, "Watch")), now), now)
      return withRole(state, isInDoubt(state, role) ? role : { ...role, readAt: nextRead(settings, state, now) })
    }
    case "WatchEnded": {
      const spread = share(settings.retryPeriod, now.chance)
      const readAt = now.monotonic + max(spread, Backoff.askedFor(settings, event.error))
      // Polling does for a watch; nothing does for a read or a write.
      const isWorse = role.trouble !== undefined && role.trouble.during !== "Watch"
      const trouble = event.error === undefined || isWorse ? role.trouble : troubled(role, event.error, "Watch")
      return withRole(state, { ...role, readAt: min(role.readAt ?? readAt, readAt), trouble })
    }
    case "ReadAnswered":
      return Result.isSuccess(event.result)
        ? readSucceeded(settings, state, role, event.result.success, request, now)
        : withRole(state, readFailed(settings, role, event.result.failure, now))
    case "WriteAnswered":
      return Result.isSuccess(event.result)
        ? writeSucceeded(settings, state, role, event.result.success, request, now)
        : writeFailed(settings, state, role, event.result.failure, request, now)
    // Nothing to give up; a shutdown is carried out by Candidate.
    case "ResignAsked":
    case "ShutdownAsked":
    case "WorkEnded":
    case "FoundInvalid":
      return [state, []]
  }
}

export const wakeAt = (state: State, role: Following): bigint | undefined => {
  if (state.request?.kind === "Write") return state.request.until
  if (state.request?.kind === "Read") return earliest(state.request.until, role.contestAt)
  return earliest(role.readAt, role.contestAt)
}

/** Rule 2: neither a hung read nor a dead watch delays a takeover, since the write compares with what was seen. */
const act = (settings: Settings, state: State, role: Following, now: Moment): Step => {
  const following = { ...state, role }
  if (state.request?.kind === "Write") return [following, []]
  if (state.seen !== undefined && isDue(role.contestAt, now)) {
    const { observation } = state.seen
    return andThen(abandon(following), (free) =>
      write(free, observation, claim(settings, observation, now), now, requestUntil(settings, now))
    )
  }
  if (state.request === undefined && isDue(role.readAt, now)) return read(following, now, requestUntil(settings, now))
  return [following, []]
}

/** The record of a new term. `transitions` counts from 0 for the first holder of a lock that did not exist. */
const claim = (settings: Settings, observation: Observation, now: Moment): LeaseRecord => {
  const wall = DateTime.makeUnsafe(Number(now.wall / millisecond))
  const former = Option.getOrUndefined(observation.record)
  const isOwn = standing(settings, observation) === "Own"
  return {
    holder: Option.some(settings.identity),
    incarnation: settings.incarnation,
    ...(settings.address === undefined ? {} : { address: settings.address }),
    leaseDuration: Duration.nanos(settings.leaseDuration),
    acquiredAt: isOwn && former !== undefined ? former.acquiredAt : wall,
    renewedAt: isOwn ? renewedAt(observation.record, now) : wall,
    transitions: former === undefined ? 0 : isOwn ? former.transitions : former.transitions + 1
  }
}

const readSucceeded = (
  settings: Settings,
  state: State,
  former: Following,
  observation: Observation,
  request: Request | undefined,
  now: Moment
): Step => {
  const role = replan(settings, state, recovered(former, "Read"), now)
  const watchIsDue = state.watch._tag === "Down" && state.watch.retryAt <= now.monotonic
  // A poll of a silent watch that finds what the watch should have told. In doubt a read may simply be the faster one.
  const known = state.seen?.observation
  const foundNews = known?.version === observation.version && request?.against !== observation.version
  const watchIsDeaf = state.watch._tag === "Open" && foundNews && !isInDoubt(state, former)
  const planned: State = { ...state, role }
  return known !== undefined && (watchIsDue || watchIsDeaf)
    ? andThen(watch(planned, known), (watching) =>
        act(settings, watching, { ...role, readAt: nextRead(settings, watching, now) }, now)
      )
    : act(settings, planned, role, now)
}

const readFailed = (settings: Settings, role: Following, error: LockError, now: Moment): Following => {
  const trouble = troubled(role, error, "Read")
  const readAt = now.monotonic + Backoff.after(settings, error, trouble.times, now)
  // A server that asks to be left alone is not sent a takeover either.
  const asked = error.reason._tag === "Unavailable" && error.reason.retryAfter !== undefined
  const contestAt = asked && role.contestAt !== undefined ? max(role.contestAt, readAt) : role.contestAt
  return { ...role, trouble, readAt, contestAt }
}

/** Rule 5 of the holder holds here as well: a grant that took longer than the deadline is written once more first. */
const writeSucceeded = (
  settings: Settings,
  state: State,
  role: Following,
  observation: Observation,
  request: Request | undefined,
  now: Moment
): Step => {
  // It may have been deleted, or deleted and made again, before the answer came.
  const isStillOurs =
    state.seen !== undefined &&
    standing(settings, state.seen.observation) === "Own" &&
    state.seen.observation.uid === observation.uid &&
    state.seen.heldUntil <= now.monotonic
  if (request === undefined || !isStillOurs || elapsed(request.sentAt, now) >= settings.renewDeadline) {
    return act(settings, state, replan(settings, state, recovered(role, "Write"), now), now)
  }
  const sentAt = rebased(request.sentAt, now)
  const token = observation.fence
  const since = Option.match(observation.record, {
    onNone: () => DateTime.makeUnsafe(Number(sentAt.wall / millisecond)),
    onSome: (record) => record.acquiredAt
  })
  const renewAt = request.sentAt.monotonic + settings.retryPeriod
  const tenure = { token, since, uid: observation.uid, sentAt, renewAt, failures: 0, conflicts: 0 }
  return withRole(
    { ...state, spread: Backoff.narrowed(state.spread) },
    { _tag: "Leading", tenure },
    {
      _tag: "BeginTerm",
      token,
      since
    }
  )
}

const writeFailed = (
  settings: Settings,
  state: State,
  role: Following,
  error: LockError,
  request: Request | undefined,
  now: Moment
): Step => {
  if (error.reason._tag === "Conflict") return conflicted(settings, state, role, error, request, now)
  // It may have happened: read before the next attempt.
  const trouble = troubled(role, error, "Write")
  const readAt = now.monotonic + Backoff.after(settings, error, trouble.times, now)
  return withRole(state, { ...role, trouble, readAt, contestAt: undefined, unanswered: role.unanswered + 1 })
}

/** So many conflicts in a row without news of a winner, and it is something else that refuses the write. */
const contestsToLose = 6

/** Another write came first: who won is told by the watch, or read. */
const conflicted = (
  settings: Settings,
  state: State,
  role: Following,
  error: LockError,
  request: Request | undefined,
  now: Moment
): Step => {
  const spread = Backoff.widened(state.spread)
  const winnerIsKnown = state.seen?.observation.version !== request?.against
  if (winnerIsKnown) return withRole({ ...state, spread }, role)
  const conflicts = role.conflicts + 1
  const doubting = { ...role, conflicts, contestAt: undefined }
  if (conflicts <= contestsToLose) {
    return withRole({ ...state, spread }, { ...doubting, readAt: now.monotonic + share(spread, now.chance) })
  }
  const readAt = now.monotonic + jittered(settings.retryPeriod, now)
  return withRole({ ...state, spread }, { ...doubting, readAt, trouble: troubled(role, error, "Write") })
}

/** What to do next about the lock as it is known now. */
const replan = (settings: Settings, state: State, role: Following, now: Moment): Following => {
  if (state.seen === undefined) return { ...role, readAt: now.monotonic, contestAt: undefined }
  const readAt = nextRead(settings, state, now)
  const isContested = standing(settings, state.seen.observation) !== "Own"
  const unanswered = isContested ? 0 : role.unanswered
  const contestAt = max(now.monotonic, role.restUntil, freeFrom(settings, state.seen, unanswered))
  return {
    ...role,
    unanswered,
    readAt,
    contestAt: isContested ? contestAt + share(state.spread, now.chance) : contestAt
  }
}

/** When nobody else can be working under the record: rules 1 and 3, and *The same identity twice*. */
const freeFrom = (settings: Settings, seen: Seen, unanswered: number): bigint => {
  switch (standing(settings, seen.observation)) {
    case "Own":
      // Who is heard by the server and does not hear it would renew for ever what it cannot use: the others go first.
      return unanswered < 2 ? seen.heldUntil : seen.heldUntil + settings.leaseDuration + restAfterResign(settings)
    case "Namesake":
      return settings.reclaimOwn ? seen.observedAt : seen.heldUntil
    case "Free":
    case "Absent":
    case "Foreign":
      return seen.heldUntil
  }
}

/** Rule 4: a watch that is down is polled for; one that is silent for longer than a holder would be, too. */
const nextRead = (settings: Settings, state: State, now: Moment): bigint =>
  now.monotonic +
  (state.watch._tag === "Open"
    ? min(settings.renewDeadline, settings.retryPeriod * 3n)
    : jittered(settings.retryPeriod, now))

const recovered = (role: Following, during: Trouble["during"]): Following =>
  role.trouble?.during === during ? { ...role, trouble: undefined } : role

/** Somebody wrote, so what kept this candidate from it may well have passed. */
const outwon = (role: Following): Following =>
  role.trouble?.during === "Write" && role.trouble.error.isTransient
    ? { ...role, conflicts: 0, trouble: undefined }
    : { ...role, conflicts: 0 }

const troubled = (role: Following, error: LockError, during: Trouble["during"]): Trouble => {
  const again = role.trouble?.during === during && role.trouble.error.reason._tag === error.reason._tag
  return { error, during, times: again && role.trouble !== undefined ? role.trouble.times + 1 : 1 }
}

const nothingPlanned: Following = {
  _tag: "Following",
  readAt: undefined,
  contestAt: undefined,
  restUntil: 0n,
  conflicts: 0,
  unanswered: 0,
  trouble: undefined
}

const isDue = (at: bigint | undefined, now: Moment): boolean => at !== undefined && at <= now.monotonic

const earliest = (a: bigint | undefined, b: bigint | undefined): bigint | undefined =>
  a === undefined ? b : b === undefined ? a : min(a, b)
