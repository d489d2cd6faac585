/**
 * Logs and metrics: what a step of the decide room means to the people who run the program. Derived from the same states
 * and events, so it never tells a second truth.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Holder from "../decide/Holder.ts"
import type { Moment } from "../decide/Instant.ts"
import type { Action, Event, State, Trouble } from "../decide/State.ts"
import type { LockError } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import { holderOf, leaderOf } from "./Leadership.ts"
import * as Metrics from "./Metrics.ts"

export interface Happened {
  readonly before: State
  readonly event: Event
  readonly after: State
  readonly actions: ReadonlyArray<Action>
  readonly now: Moment
}

export const make = (settings: Settings) => {
  const metrics = Metrics.of(settings.name)
  const annotated = (state: State) =>
    Effect.annotateLogs({
      election: settings.name,
      identity: settings.identity,
      ...("tenure" in state.role ? { token: String(state.role.tenure.token) } : {})
    })

  const log = (happened: Happened): Effect.Effect<void> =>
    Effect.forEach(linesOf(settings, happened), (line) => line, { discard: true }).pipe(
      annotated("tenure" in happened.after.role ? happened.after : happened.before)
    )

  const measure = ({ actions, after, before, event, now }: Happened): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (after.role._tag !== before.role._tag) {
        yield* Metric.update(metrics.masterStatus, after.role._tag === "Leading" ? 1 : 0)
      }
      if (actions.some((action) => action._tag === "BeginTerm")) yield* Metric.update(metrics.terms, 1)
      if (actions.some((action) => action._tag === "Read") && isRenewing(before)) {
        yield* Metric.update(metrics.slowPath, 1)
      }
      if (holderName(after) !== undefined && holderName(after) !== holderName(before)) {
        yield* Metric.update(metrics.transitions, 1)
      }
      if (event._tag === "WriteAnswered" && Result.isSuccess(event.result) && isRenewing(before)) {
        const sentAt = before.request?.id === event.id ? before.request.sentAt.monotonic : now.monotonic
        yield* Metric.update(metrics.renewal, Number(now.monotonic - sentAt) / 1e9)
      }
      const remaining = "tenure" in after.role ? Holder.remaining(settings, after.role.tenure, now) : 0n
      if (isRenewing(after) || isRenewing(before)) {
        yield* Metric.update(metrics.remainingValidity, isRenewing(after) ? Number(remaining) / 1e9 : 0)
      }
    })

  const idle = Effect.andThen(Metric.update(metrics.masterStatus, 0), Metric.update(metrics.remainingValidity, 0))

  return {
    /** Every series is there from the beginning, so that an alert on a candidate that never led finds one. */
    begin: [metrics.slowPath, metrics.terms, metrics.transitions, metrics.overruns].reduce(
      (all, counter) => Effect.andThen(all, Metric.update(counter, 0)),
      idle
    ),
    /** However it ended. */
    end: idle,
    step: (happened: Happened): Effect.Effect<void> => Effect.andThen(log(happened), measure(happened)),
    overrun: (state: State, running: number): Effect.Effect<void> =>
      Effect.andThen(
        Metric.update(metrics.overruns, 1),
        Effect.logFatal(
          `work overran its term: ${running} pieces still run although the lease of ${settings.identity} on ` +
            `${settings.name} may be another's now; make the work interruptible, or end the process in onOverrun`
        ).pipe(annotated(state))
      )
  }
}

const linesOf = (settings: Settings, { after, before, event, now }: Happened): ReadonlyArray<Effect.Effect<void>> => {
  const lines: Array<Effect.Effect<void>> = []
  const { role } = after
  if (role._tag === "Leading" && before.role._tag !== "Leading") {
    lines.push(Effect.logInfo(`became leader of ${settings.name}`))
  }
  if (role._tag === "Yielding" && before.role._tag === "Leading") {
    lines.push(Effect.logInfo(`stops leading ${settings.name}: ${role.end}`))
  }
  if (role._tag === "Stopping" && before.role._tag === "Leading") {
    lines.push(Effect.logWarning(`lost ${settings.name}: ${role.end}`))
  }
  if (role._tag === "Stopping" && before.role._tag === "Yielding") {
    const why = role.end === before.role.end ? "the work did not end within drainTimeout" : `lost it: ${role.end}`
    lines.push(Effect.logWarning(`renews ${settings.name} no more while its work drains: ${why}`))
  }
  if ("tenure" in before.role && event._tag === "WorkEnded") {
    lines.push(Effect.logInfo(`all work under ${settings.name} has ended`))
  }
  const leader = Option.getOrUndefined(leaderOf(settings, after, now))
  if (leader !== undefined && leader.identity !== holderName(before)) {
    lines.push(Effect.logInfo(`${settings.name} is led by ${leader.identity}`))
  }
  lines.push(...troubleLines(settings, before, event, after))
  return lines
}

/** Once at first, then ever less often: a wrong Role is not worth a line every two seconds. */
const troubleLines = (
  settings: Settings,
  before: State,
  event: Event,
  after: State
): ReadonlyArray<Effect.Effect<void>> => {
  const error = errorOf(event)
  if (isRenewing(before) && error !== undefined && error.reason._tag !== "Conflict") {
    return [Effect.logWarning(`renewal failed: ${error.message}`)]
  }
  const earlier = troubleOf(before)
  const trouble = troubleOf(after)
  if (trouble !== undefined && trouble !== earlier && isWorthALine(trouble)) {
    const doing = trouble.during === "Watch" ? "watch" : trouble.during === "Read" ? "read" : "take"
    return [Effect.logWarning(`cannot ${doing}: ${trouble.error.message}`)]
  }
  if (trouble === undefined && earlier !== undefined && after.role._tag !== "Stopped") {
    return [Effect.logInfo(`${settings.name} answers again`)]
  }
  return []
}

const isWorthALine = (trouble: Trouble): boolean =>
  !trouble.error.isTransient || (trouble.times & (trouble.times - 1)) === 0

const troubleOf = (state: State): Trouble | undefined =>
  state.role._tag === "Following" ? state.role.trouble : undefined

const errorOf = (event: Event): LockError | undefined =>
  (event._tag === "WriteAnswered" || event._tag === "ReadAnswered") && Result.isFailure(event.result)
    ? event.result.failure
    : undefined

const isRenewing = (state: State): boolean => state.role._tag === "Leading" || state.role._tag === "Yielding"

const holderName = (state: State): string | undefined =>
  Option.getOrUndefined(
    Option.flatMap(Option.fromUndefinedOr(state.seen), (seen) => Option.flatMap(seen.observation.record, holderOf))
  )?.identity
