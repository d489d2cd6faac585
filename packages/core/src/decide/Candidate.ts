/**
 * One candidate of an election as a state machine without clock and I/O: `step` takes an event at a moment and returns
 * the next state and what to do. Follower, Holder and Releasing hold the rules of protocol.md; here is what they share:
 * one request at a time, what is known of the lock, and the watch.
 */
import * as Result from "effect/Result"
import { LockError, Unavailable } from "../LeaseLock.ts"
import type { Observation } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import * as Backoff from "./Backoff.ts"
import * as Follower from "./Follower.ts"
import * as Holder from "./Holder.ts"
import { max, share } from "./Instant.ts"
import type { Moment } from "./Instant.ts"
import { isNews, observe, standing } from "./Register.ts"
import * as Releasing from "./Releasing.ts"
import { abandon, andThen, withRole } from "./State.ts"
import type { Event, Request, State, Step } from "./State.ts"

export const initial = (settings: Settings, now: Moment): State =>
  Follower.begin(
    settings,
    {
      seen: undefined,
      watch: { _tag: "Down", failures: 0, retryAt: now.monotonic },
      request: undefined,
      requests: 0,
      spread: Backoff.smallestSpread,
      role: { _tag: "Stopped" }
    },
    now
  )

export const step = (settings: Settings, state: State, event: Event, now: Moment): Step => {
  switch (event._tag) {
    case "Tick":
      return expireRequest(settings, state, now)
    case "Noticed": {
      const news = isNews(state.seen, event.observation)
      const known = news ? learn(settings, state, event.observation, state.request, now) : state
      return dispatch(settings, { ...known, watch: { ...known.watch, failures: 0 } }, event, undefined, news, now)
    }
    case "WatchEnded": {
      const failures = state.watch.failures + 1
      const wait =
        failures === 1 && event.error?.isTransient !== false
          ? share(settings.retryPeriod, now.chance)
          : Backoff.permanent(settings, failures, now)
      const retryAt = now.monotonic + max(wait, Backoff.askedFor(settings, event.error))
      const watch = { _tag: "Down", failures, retryAt } as const
      return dispatch(settings, { ...state, watch }, event, undefined, false, now)
    }
    case "ReadAnswered":
    case "WriteAnswered": {
      const { request } = state
      // An answer that nobody waits for any more says nothing, but it is an occasion to look at the clock.
      if (request === undefined || request.id !== event.id) return expireRequest(settings, state, now)
      const free: State = { ...state, request: undefined }
      if (Result.isFailure(event.result)) return dispatch(settings, free, event, request, false, now)
      const observation = event.result.success
      // A read is the truth even where it looks older (a restored server), unless something was noticed on its way.
      const isLatest = event._tag === "ReadAnswered" && request.against === (state.seen?.observation.version ?? "")
      const accepted = isLatest || isNews(state.seen, observation)
      const known = accepted ? learn(settings, free, observation, request, now) : free
      return dispatch(settings, known, event, request, accepted, now)
    }
    case "WorkEnded":
    case "FoundInvalid":
    case "ResignAsked":
    case "ShutdownAsked":
      return dispatch(settings, state, event, undefined, false, now)
  }
}

/** When to call `step` with a `Tick` if nothing happens before. */
export const wakeAt = (settings: Settings, state: State): bigint | undefined => {
  switch (state.role._tag) {
    case "Following":
      return Follower.wakeAt(state, state.role)
    case "Leading":
    case "Yielding":
      return Holder.wakeAt(settings, state, state.role)
    case "Stopping":
      return state.role.overrunAt
    case "Releasing":
      return Releasing.wakeAt(state, state.role)
    case "Stopped":
      return undefined
  }
}

/**
 * How long at most to sleep until then. Timers miss what the monotonic clock misses in a suspension, so a holder looks at
 * the wall clock often enough for its work to keep its budget.
 */
export const longestSleep = (settings: Settings, state: State): bigint | undefined =>
  "tenure" in state.role ? (settings.stopBy - settings.renewDeadline) / 10n + 1n : undefined

const dispatch = (
  settings: Settings,
  state: State,
  event: Event,
  request: Request | undefined,
  news: boolean,
  now: Moment
): Step => {
  const { role } = state
  switch (role._tag) {
    case "Following":
      return event._tag === "ShutdownAsked"
        ? leave(settings, state, now)
        : Follower.step(settings, state, role, event, request, news, now)
    case "Leading":
    case "Yielding":
      return Holder.step(settings, state, role, event, request, now)
    case "Stopping":
      return Holder.stepStopping(settings, state, role, event, now)
    case "Releasing":
      return Releasing.step(settings, state, role, event, news, now)
    case "Stopped":
      return [state, []]
  }
}

const learn = (
  settings: Settings,
  state: State,
  observation: Observation,
  request: Request | undefined,
  now: Moment
): State => ({
  ...state,
  seen: observe(settings, state.seen, observation, request, now)
})

/** Nobody waits longer than the request timeout: to the rules that is an answer that did not come. */
const expireRequest = (settings: Settings, state: State, now: Moment): Step => {
  const { request } = state
  const tick: Event = { _tag: "Tick" }
  if (request === undefined || now.monotonic < request.until) {
    return dispatch(settings, state, tick, undefined, false, now)
  }
  const waited = Number((now.monotonic - request.sentAt.monotonic) / 1_000_000n)
  const error = new LockError({
    lock: settings.name,
    reason: new Unavailable({
      detail: `no answer to a ${request.kind.toLowerCase()} for ${waited} ms (requestTimeout)`
    })
  })
  const answer = { id: request.id, result: Result.fail(error) }
  const event: Event =
    request.kind === "Read" ? { _tag: "ReadAnswered", ...answer } : { _tag: "WriteAnswered", ...answer }
  return andThen(
    andThen(abandon(state), (free) => dispatch(settings, free, event, request, false, now)),
    (next) => (next.role._tag === "Stopped" ? [next, []] : dispatch(settings, next, tick, undefined, false, now))
  )
}

/** A follower that leaves may own the lock all the same: by a write that is under way, or one whose answer was lost. */
const leave = (settings: Settings, state: State, now: Moment): Step => {
  const owns = state.seen !== undefined && standing(settings, state.seen.observation) === "Own"
  if (owns || state.request?.kind === "Write") return Releasing.begin(settings, state, "Leave", now)
  if (state.role._tag === "Following" && Follower.isInDoubt(state, state.role)) {
    return Releasing.beginInDoubt(settings, state, "Leave", now)
  }
  return andThen(abandon(state), (free) => withRole(free, { _tag: "Stopped" }))
}
