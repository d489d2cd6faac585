/**
 * A scheduled job as data: what runs, when, and what becomes of occurrences that nobody ran in time.
 *
 * An occurrence is one instant of a job's schedule. It is missed if nobody was waiting for it when its time came: no
 * candidate led, or the run before it was still going on.
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export interface Job<out R = never> extends Scheduled {
  /** A failure is logged and recorded, and the job goes on with its next occurrence. */
  readonly run: (occurrence: Occurrence) => Effect.Effect<unknown, unknown, R>
}

/** All of a job but what it does. */
export interface Scheduled {
  /** What it is called in the log of jobs: renaming a job makes a new one. */
  readonly name: string
  /** With the time zone that it is meant in: `Cron.parseUnsafe("30 2 * * *", "Europe/Berlin")`. */
  readonly schedule: Cron.Cron
  /** Default "once". */
  readonly onMissed?: OnMissed
  /** Default "rerun". */
  readonly onInterrupted?: OnInterrupted
}

/** What one run is for. */
export interface Occurrence {
  readonly job: string
  readonly time: DateTime.Utc
  /** The same in every run for this occurrence, also under another leader: the key that makes a job idempotent. */
  readonly key: string
  /** The fencing token of the term that runs it: a store that refuses older ones is safe from a leader that slept. */
  readonly token: bigint
}

/**
 * What becomes of missed occurrences:
 * - `"skip"`: none of them runs.
 * - `"once"`: the latest of them runs, for all.
 * - `{ all: n }`: each of them runs, in order, but none beyond the latest n (1 to 1000).
 */
export type OnMissed = "skip" | "once" | { readonly all: number }

/**
 * What becomes of an occurrence that was started, and not known to be finished when its leader went:
 * - `"rerun"`: it runs again, before any later one. Each occurrence that was started runs to its end at least once.
 * - `"skip"`: it does not. Each occurrence is started at most once.
 */
export type OnInterrupted = "rerun" | "skip"

export const onMissed = (job: Scheduled): OnMissed => job.onMissed ?? "once"

export const onInterrupted = (job: Scheduled): OnInterrupted => job.onInterrupted ?? "rerun"

export const occurrence = (job: Scheduled, time: DateTime.Utc, token: bigint): Occurrence => ({
  job: job.name,
  time,
  key: `${job.name}@${DateTime.formatIso(time)}`,
  token
})

/** Every rule that the jobs of a program violate. */
export class InvalidJobs extends Schema.TaggedError<InvalidJobs>()("InvalidJobs", {
  violations: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `these jobs cannot be scheduled: ${this.violations.join("; ")}`
  }
}

export const check = (jobs: ReadonlyArray<Scheduled>): Option.Option<InvalidJobs> => {
  const violations = jobs.flatMap((job, index) => [
    ...violationsOf(job),
    ...(jobs.findIndex(({ name }) => name === job.name) < index ? [`two jobs are called ${say(job)}`] : [])
  ])
  return violations.length === 0 ? Option.none() : Option.some(new InvalidJobs({ violations }))
}

// The name is a key of a ConfigMap.
const namePattern = /^[A-Za-z0-9][-._A-Za-z0-9]{0,252}$/
/** So many are searched in one go, which must not keep the election from renewing its lease. */
const mostMissed = 1000

const violationsOf = (job: Scheduled): ReadonlyArray<string> => {
  const missed = onMissed(job)
  return [
    ...(namePattern.test(job.name)
      ? []
      : [`the name ${say(job)} must be 1 to 253 letters, digits, '-', '_' and '.', with a letter or digit first`]),
    ...(Option.isSome(job.schedule.tz)
      ? []
      : [`the schedule of ${say(job)} names no time zone, so each machine would read it in its own`]),
    ...(occurs(job.schedule) ? [] : [`the schedule of ${say(job)}, ${Cron.format(job.schedule)}, never occurs`]),
    ...(typeof missed === "string" || (Number.isInteger(missed.all) && missed.all >= 1 && missed.all <= mostMissed)
      ? []
      : [`onMissed of ${say(job)} must run 1 to ${mostMissed} occurrences, not ${missed.all}`])
  ]
}

const say = ({ name }: Scheduled): string => JSON.stringify(name)

const occurs = (schedule: Cron.Cron): boolean =>
  Result.isSuccess(Result.try(() => Cron.next(schedule, DateTime.makeUnsafe(0))))
