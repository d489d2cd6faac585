/** Candidates that share a lock and a log of jobs, in virtual time, and a diary of what their jobs did. */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import * as Context from "effect/Context"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type { Job, Occurrence } from "../src/Job.ts"
import * as JobLog from "../src/JobLog.ts"
import * as Scheduler from "../src/Scheduler.ts"

/** To be provided to a test: what its candidates share. It begins at half past midnight, UTC. */
export const layer = Layer.mergeAll(LeaseLock.layerMemory(), JobLog.layerMemory)

export const begin = TestClock.setTime(DateTime.toEpochMillis(DateTime.makeUnsafe("2026-01-01T00:30:00Z")))

/** Long, so that virtual days are cheap. */
export const timings = { leaseDuration: "5 minutes", renewDeadline: "3 minutes", retryPeriod: "30 seconds" } as const

/** A process with the jobs. It ends in order, or leaves its lease to run out. */
export const start = Effect.fnUntraced(function* <R>(
  identity: string,
  jobs: ReadonlyArray<Job<R>>,
  { releases = true } = {}
) {
  const scope = yield* Scope.make()
  const election = yield* LeaderElection.layer({ identity, ...timings, releaseOnShutdown: releases }).pipe(
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  yield* Scheduler.layer(jobs).pipe(Layer.buildWithScope(scope), Effect.provideContext(election))
  return {
    election: Context.get(election, LeaderElection.LeaderElection),
    end: Effect.asVoid(Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true }))
  }
})

/** Lets everything that is ready happen, then so much time pass. */
export const pass = (duration: Duration.Input) =>
  Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), TestClock.adjust(duration))

/** What jobs did, in order: `10:00 starts at 10:00 under 3`. */
export const makeDiary = () => {
  const lines: Array<string> = []
  const note = (what: string, occurrence: Occurrence) =>
    Effect.map(DateTime.now, (now) => {
      lines.push(`${clock(occurrence.time)} ${what} at ${clock(now)} under ${occurrence.token}`)
    })
  return {
    lines,
    /** A run that takes so long and is written down. */
    run:
      (lasts: Duration.Input = 0) =>
      (occurrence: Occurrence) =>
        note("starts", occurrence).pipe(
          Effect.andThen(Effect.sleep(lasts)),
          Effect.andThen(note("ends", occurrence)),
          Effect.onInterrupt(() => note("is interrupted", occurrence))
        )
  }
}

const clock = (time: DateTime.Utc): string => DateTime.formatIso(time).slice(11, 16)

export const hourly = Cron.parseUnsafe("0 * * * *", "UTC")
