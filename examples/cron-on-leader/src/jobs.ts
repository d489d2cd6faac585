/**
 * The jobs of this program. Put yours here.
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { Job, Occurrence } from "./Job.ts"

/** Stands for work: takes a while, and says for which occurrence, with which key and token. */
const pretend = (what: string, seconds: number) => (occurrence: Occurrence) =>
  Effect.log(`${what} of ${DateTime.formatIso(occurrence.time)}`).pipe(
    Effect.andThen(Effect.sleep(`${seconds} seconds`)),
    Effect.annotateLogs({ key: occurrence.key, token: String(occurrence.token) })
  )

export const jobs: ReadonlyArray<Job> = [
  {
    // Only the newest reading is of interest: what was missed is gone.
    name: "measure-queue",
    schedule: Cron.parseUnsafe("*/10 * * * * *", "UTC"),
    onMissed: "skip",
    onInterrupted: "skip",
    run: pretend("measures the queue", 1)
  },
  {
    // Each minute has its own report, so each that was missed is made, up to an hour of them.
    name: "minute-report",
    schedule: Cron.parseUnsafe("* * * * *", "UTC"),
    onMissed: { all: 60 },
    run: pretend("makes the report", 5)
  },
  {
    // Every night at half past two in Berlin, also when that time is skipped or comes twice.
    name: "nightly-cleanup",
    schedule: Cron.parseUnsafe("30 2 * * *", "Europe/Berlin"),
    run: pretend("cleans up for the night", 60)
  }
]
