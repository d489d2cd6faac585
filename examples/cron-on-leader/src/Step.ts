/**
 * What is to be done next for a job: decided by its entry in the log and the time alone, without any effect. The next
 * occurrence always follows from the last one in the log, never from the clock: so none runs twice, wherever clocks go.
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Job from "./Job.ts"
import type { Entry } from "./JobLog.ts"

export type Step =
  /** Wait for the occurrence, then run it. */
  | { readonly _tag: "Await"; readonly occurrence: DateTime.Utc }
  /** Run the occurrence now. `drops`: missed ones before it will not run. */
  | {
      readonly _tag: "Run"
      readonly occurrence: DateTime.Utc
      readonly why: "missed" | "interrupted"
      readonly drops: boolean
    }
  /** Record that the occurrence, and with it all before it, will not run. */
  | { readonly _tag: "Drop"; readonly occurrence: DateTime.Utc; readonly as: "Interrupted" | "Skipped" }

/** Nobody runs the job now: an entry that says so is of a leader that has gone. */
export const next = (job: Job.Scheduled, entry: Entry, now: DateTime.Utc): Step => {
  const { occurrence } = entry
  if (entry.state === "Started") {
    return Job.onInterrupted(job) === "rerun"
      ? { _tag: "Run", occurrence, why: "interrupted", drops: false }
      : { _tag: "Drop", occurrence, as: "Interrupted" }
  }
  const policy = Job.onMissed(job)
  const { all, latest } = missed(job.schedule, occurrence, now, typeof policy === "string" ? 1 : policy.all)
  const [first] = latest
  if (first === undefined) return { _tag: "Await", occurrence: after(job.schedule, occurrence) }
  return policy === "skip"
    ? { _tag: "Drop", occurrence: first, as: "Skipped" }
    : { _tag: "Run", occurrence: first, why: "missed", drops: !all }
}

interface Missed {
  /** The latest of them, at most as many as asked for, oldest first. */
  readonly latest: ReadonlyArray<DateTime.Utc>
  /** Whether that is all of them. */
  readonly all: boolean
}

/** The occurrences after an earlier one until now. There may be millions, so they are counted from both ends only. */
const missed = (schedule: Cron.Cron, from: DateTime.Utc, now: DateTime.Utc, most: number): Missed => {
  const isMissed = (time: DateTime.Utc) => DateTime.isLessThanOrEqualTo(time, now)
  const latest: Array<DateTime.Utc> = []
  for (let time = after(schedule, from); isMissed(time); time = after(schedule, time)) {
    if (latest.length === most) return { latest: latestOf(schedule, now, most), all: false }
    latest.push(time)
  }
  return { latest, all: true }
}

const latestOf = (schedule: Cron.Cron, now: DateTime.Utc, most: number): ReadonlyArray<DateTime.Utc> => {
  const latest: Array<DateTime.Utc> = []
  // `prev` is strictly before.
  let time = DateTime.add(now, { milliseconds: 1 })
  while (latest.length < most) {
    time = DateTime.fromDateUnsafe(Cron.prev(schedule, time))
    latest.unshift(time)
  }
  return latest
}

const after = (schedule: Cron.Cron, time: DateTime.Utc): DateTime.Utc =>
  DateTime.fromDateUnsafe(Cron.next(schedule, time))
