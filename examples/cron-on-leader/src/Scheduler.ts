/**
 * Runs scheduled jobs once per cluster: each candidate has this layer, and the leader alone schedules.
 *
 * What is promised, as far as the election can interrupt the jobs' runs:
 * - an occurrence that was run to its end is never run again, and no job runs twice at once
 * - a job's occurrences run in order, under tokens that never decrease
 * - with `onInterrupted: "rerun"` an occurrence that was started is run until one run has ended: at least once; with
 *   `"skip"` it is started at most once
 * - a run that fails is recorded as such and not repeated; the other jobs, and the leader, go on
 *
 * A run is recorded as started before it begins, and as ended after. Where a leader dies between a run's end and the
 * record of it, "rerun" runs it again: such a job must be idempotent, by the occurrence's `key`.
 */
import { LeaderElection } from "@effect-leader/core"
import type { Term } from "@effect-leader/core"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Job from "./Job.ts"
import { JobLog, type Entry, type State } from "./JobLog.ts"
import * as Step from "./Step.ts"

/**
 * Schedules the jobs in every term. If the log of jobs is of no use, it says so, resigns, and tries again in a later
 * term.
 */
export const layer = <R>(
  jobs: ReadonlyArray<Job.Job<R>>
): Layer.Layer<
  never,
  Job.InvalidJobs,
  LeaderElection.LeaderElection | JobLog | Exclude<R, Term.Term<LeaderElection.LeaderElection>>
> =>
  Option.match(Job.check(jobs), {
    onNone: () => LeaderElection.layerWhileLeading(Layer.effectDiscard(run(jobs))),
    onSome: (invalid) => Layer.effectDiscard(Effect.fail(invalid))
  })

/** The work of one term; it ends with the term, or when the log of jobs is of no use. */
export const run = Effect.fnUntraced(function* <R>(jobs: ReadonlyArray<Job.Job<R>>) {
  const term = yield* LeaderElection.Term
  const log = yield* JobLog
  const entries = yield* term.guard(log.open(term.token))
  return yield* Effect.forEach(jobs, (job) => follow(job, entries.get(job.name)), {
    concurrency: "unbounded",
    discard: true
  })
})

/** One job from occurrence to occurrence. */
const follow = Effect.fnUntraced(
  function* <R>(job: Job.Job<R>, known: Entry | undefined) {
    const now = yield* DateTime.now
    let entry = known ?? (yield* record(job, "Registered", now))
    if (DateTime.isGreaterThan(entry.occurrence, now)) yield* Effect.logWarning(sayAhead(entry.occurrence, now))
    while (true) {
      const step = Step.next(job, entry, yield* DateTime.now)
      entry = yield* carryOut(job, step)
    }
  },
  (effect, job) => Effect.annotateLogs(effect, { job: job.name })
)

const carryOut = Effect.fnUntraced(
  function* <R>(job: Job.Job<R>, step: Step.Step) {
    switch (step._tag) {
      case "Await":
        yield* sleepUntil(step.occurrence)
        return yield* runOnce(job, step.occurrence)
      case "Run":
        yield* Effect.logWarning(`was ${step.why}: runs now${step.drops ? "; those missed before it do not" : ""}`)
        return yield* runOnce(job, step.occurrence)
      case "Drop":
        yield* Effect.logWarning(
          step.as === "Skipped" ? "was missed, and does not run" : "was interrupted, and does not run again"
        )
        return yield* record(job, step.as, step.occurrence)
    }
  },
  (effect, _job, step) => Effect.annotateLogs(effect, { occurrence: DateTime.formatIso(step.occurrence) })
)

const runOnce = Effect.fnUntraced(function* <R>(job: Job.Job<R>, time: DateTime.Utc) {
  const term = yield* LeaderElection.Term
  const occurrence = Job.occurrence(job, time, term.token)
  yield* record(job, "Started", time)
  yield* Effect.log("runs")

  const settle = Effect.fnUntraced(function* (outcome: Exit.Exit<unknown, unknown>) {
    yield* Exit.match(outcome, {
      onSuccess: () => Effect.log("has succeeded"),
      onFailure: (cause) => Effect.logError("has failed, and is not repeated", cause)
    })
    return yield* record(job, Exit.isSuccess(outcome) ? "Succeeded" : "Failed", time).pipe(
      // The term began to drain just now: its finalizers may still write.
      Effect.retry({ while: (error) => error._tag === "NotLeading" && term.isValid() })
    )
  })
  // A run that ends while the term drains is recorded, too. One that is interrupted is left as it is: started.
  const running = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.exit(restore(job.run(occurrence))), (outcome) =>
      Effect.map(isInterrupted(outcome) ? Effect.succeed(undefined) : settle(outcome), (settled) => ({
        outcome,
        settled
      }))
    )
  )
  const { outcome, settled } = yield* term.guard(running)
  // Still here: then it was not the end of the term that interrupted the run, but the job itself.
  return settled ?? (yield* settle(outcome))
})

const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)

/** Writes the job's entry. The log refuses it if another leader has opened the log since. */
const record = Effect.fnUntraced(function* (job: Job.Scheduled, state: State, occurrence: DateTime.Utc) {
  const term = yield* LeaderElection.Term
  const log = yield* JobLog
  const entry: Entry = { state, occurrence, token: term.token, writtenAt: yield* DateTime.now }
  yield* term.guard(log.write(job.name, entry))
  return entry
})

/** By the wall clock, which may be set meanwhile; and no timer of Node can wait for a month. */
const sleepUntil = Effect.fnUntraced(function* (time: DateTime.Utc) {
  while (true) {
    const rest = DateTime.distance(yield* DateTime.now, time)
    if (Duration.isLessThanOrEqualTo(rest, Duration.zero)) return
    yield* Effect.sleep(Duration.min(rest, Duration.minutes(10)))
  }
})

const sayAhead = (occurrence: DateTime.Utc, now: DateTime.Utc): string =>
  `it is ${DateTime.formatIso(now)}, and the latest occurrence in the log is that of ${DateTime.formatIso(occurrence)}: ` +
  "a clock was or is wrong; nothing runs until then, unless somebody corrects the log"
