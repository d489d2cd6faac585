/**
 * Giving the lock back once no work runs any more (rule 7 of the holder): by compare-and-set on the own version, never
 * over a successor, and for a bounded time, since the lease runs out by itself.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { LeaseRecord, LockError, Observation } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import * as Backoff from "./Backoff.ts"
import * as Follower from "./Follower.ts"
import { millisecond, min } from "./Instant.ts"
import type { Moment } from "./Instant.ts"
import { standing } from "./Register.ts"
import { abandon, andThen, read, requestUntil, withRole, write } from "./State.ts"
import type { Event, Role, State, Step } from "./State.ts"

type Releasing = Extract<Role, { readonly _tag: "Releasing" }>

export const begin = (settings: Settings, state: State, next: Releasing["next"], now: Moment): Step =>
  act(settings, state, starting(settings, next, now), now)

/** Where an earlier write got no answer, a read has to say whether there is anything to release. */
export const beginInDoubt = (settings: Settings, state: State, next: Releasing["next"], now: Moment): Step =>
  andThen(abandon(state), (free) => readAgain(settings, free, starting(settings, next, now), now))

export const step = (
  settings: Settings,
  state: State,
  former: Releasing,
  event: Event,
  news: boolean,
  now: Moment
): Step => {
  const role: Releasing = event._tag === "ShutdownAsked" ? { ...former, next: "Leave" } : former
  switch (event._tag) {
    case "ReadAnswered":
    case "WriteAnswered":
      return Result.isSuccess(event.result)
        ? act(settings, state, role, now)
        : failed(settings, state, role, event.result.failure, now)
    case "Tick":
      if (now.monotonic >= role.until) return finish(settings, state, role, now)
      if (state.request !== undefined || now.monotonic < role.retryAt) return withRole(state, role)
      return readAgain(settings, state, role, now)
    // A write that is under way knows better than what was noticed before it.
    case "Noticed":
      return news && state.request?.kind !== "Write" && !isOwn(settings, state)
        ? finish(settings, state, role, now)
        : withRole(state, role)
    case "WatchEnded":
    case "WorkEnded":
    case "FoundInvalid":
    case "ResignAsked":
    case "ShutdownAsked":
      return withRole(state, role)
  }
}

export const wakeAt = (state: State, role: Releasing): bigint =>
  min(role.until, state.request === undefined ? role.retryAt : state.request.until)

const starting = (settings: Settings, next: Releasing["next"], now: Moment): Releasing => ({
  _tag: "Releasing",
  until: now.monotonic + settings.requestTimeout * 2n,
  retryAt: now.monotonic,
  failures: 0,
  next
})

/** A write that is under way first says whether there is anything to release: it may be the acquiring one. */
const act = (settings: Settings, state: State, role: Releasing, now: Moment): Step => {
  const releasing = { ...state, role }
  if (state.request?.kind === "Write") return [releasing, []]
  if (state.seen === undefined || !isOwn(settings, state)) return finish(settings, state, role, now)
  const { observation } = state.seen
  return andThen(abandon(releasing), (free) =>
    write(free, observation, released(observation, now), now, requestUntil(settings, now))
  )
}

const failed = (settings: Settings, state: State, role: Releasing, error: LockError, now: Moment): Step => {
  const failures = role.failures + 1
  if (error.reason._tag === "Conflict" && failures === 1) return readAgain(settings, state, { ...role, failures }, now)
  const retryAt = now.monotonic + Backoff.transient(settings, error, failures, now)
  return withRole(state, { ...role, failures, retryAt })
}

const readAgain = (settings: Settings, state: State, role: Releasing, now: Moment): Step =>
  read({ ...state, role }, now, requestUntil(settings, now))

const finish = (settings: Settings, state: State, role: Releasing, now: Moment): Step =>
  andThen(abandon(state), (free) =>
    role.next === "Leave"
      ? withRole(free, { _tag: "Stopped" })
      : [Follower.begin(settings, free, now, now.monotonic + Follower.restAfterResign(settings)), []]
  )

/** As client-go leaves it: no holder, one second, the transitions kept. */
const released = (observation: Observation, now: Moment): LeaseRecord => {
  const wall = DateTime.makeUnsafe(Number(now.wall / millisecond))
  const transitions = Option.match(observation.record, { onNone: () => 0, onSome: (record) => record.transitions })
  return {
    holder: Option.none(),
    leaseDuration: Duration.seconds(1),
    acquiredAt: wall,
    renewedAt: wall,
    transitions
  }
}

const isOwn = (settings: Settings, state: State): boolean =>
  state.seen !== undefined && standing(settings, state.seen.observation) === "Own"
