/**
 * Thirty virtual days of three candidates whose processes crash, drain and resign as a seed decides, with an hourly and
 * a daily job: what each of them ran, judged as a whole.
 */
import { CandidateClock, Simulation } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Job, Occurrence, OnMissed } from "../src/Job.ts"
import * as JobLog from "../src/JobLog.ts"
import * as Scheduler from "../src/Scheduler.ts"

interface Run {
  readonly job: string
  readonly time: number
  readonly token: bigint
  readonly startedAt: number
  /** Neither ended nor interrupted: its process crashed. */
  outcome: "ended" | "interrupted" | undefined
  endedAt: number
}

const makeRuns = () => {
  const runs: Array<Run> = []
  const now = Effect.map(CandidateClock.trueClock, (clock) => clock.currentTimeMillisUnsafe())
  const run = (lasts: Duration.Input) => (occurrence: Occurrence) =>
    Effect.gen(function* () {
      const run: Run = {
        job: occurrence.job,
        time: DateTime.toEpochMillis(occurrence.time),
        token: occurrence.token,
        startedAt: yield* now,
        outcome: undefined,
        endedAt: Infinity
      }
      runs.push(run)
      const end = (outcome: Run["outcome"]) =>
        Effect.map(now, (at) => {
          run.outcome = outcome
          run.endedAt = at
        })
      yield* Effect.sleep(lasts).pipe(
        Effect.andThen(end("ended")),
        Effect.onInterrupt(() => end("interrupted"))
      )
    })
  return { runs, run }
}

/** Something happens to somebody every few hours, and now and then to all at once, so that nobody leads for hours. */
const plan = Effect.gen(function* () {
  const planned: Array<Simulation.Planned> = []
  const pick = <A>(from: ReadonlyArray<A>, otherwise: A) =>
    Effect.map(Random.nextIntBetween(0, from.length + 1), (index) => from[index] ?? otherwise)
  let hours = 0
  while (true) {
    hours += yield* Random.nextBetween(0.2, 6)
    if (hours >= 24 * days) return planned
    const tag = yield* pick<"Crash" | "Drain" | "Resign">(["Crash", "Drain"], "Resign")
    const candidate = yield* pick<string | undefined>(["a", "b", "c"], undefined)
    const whose = candidate === undefined ? {} : { candidate }
    const restartAfter = Duration.minutes(yield* Random.nextBetween(0, candidate === undefined ? 300 : 60))
    planned.push({
      at: Duration.hours(hours),
      fault: tag === "Resign" ? { _tag: tag, ...whose } : { _tag: tag, ...whose, restartAfter }
    })
  }
})

const days = 30

/** Virtual time is cheap, but not free: a slow machine may take its time. */
const patience = 120_000

const all: OnMissed = { all: 1000 }

/** The occurrences of a schedule from the first to the last of these. */
const consecutive = (schedule: Cron.Cron, times: ReadonlyArray<number>) => {
  const expected = times.slice(0, 1)
  while (expected.length < times.length) expected.push(Cron.next(schedule, expected.at(-1)).getTime())
  return expected
}

const schedules = {
  hourly: Cron.parseUnsafe("0 * * * *", "UTC"),
  daily: Cron.parseUnsafe("30 2 * * *", "Europe/Berlin")
}

describe("thirty virtual days of crashes, restarts and resignations", () => {
  it.effect(
    "each occurrence runs to its end exactly once, in order, never two at once",
    () =>
      Effect.gen(function* () {
        const { run, runs } = makeRuns()
        const jobs: ReadonlyArray<Job> = [
          { name: "hourly", schedule: schedules.hourly, run: run("10 minutes"), onMissed: all },
          { name: "daily", schedule: schedules.daily, run: run("100 minutes"), onMissed: all }
        ]
        const report = yield* Simulation.run({
          work: Scheduler.run(jobs),
          seed: 1,
          duration: Duration.days(days),
          // Long, so that virtual days are cheap.
          settings: { leaseDuration: "1 hour", renewDeadline: "20 minutes", retryPeriod: "8 minutes" },
          faults: yield* Random.withSeed(plan, 1),
          // Clocks that drift apart for so long would be hours apart.
          rates: [1, 1, 1]
        })
        assert.deepStrictEqual(report.violations, [], report.explain())
        assert.deepStrictEqual(report.failures, [])
        for (const [job, atLeast] of [
          ["hourly", 715],
          ["daily", 29]
        ] as const) {
          const own = runs.filter((run) => run.job === job)
          const ended = own.filter(({ outcome }) => outcome === "ended").map(({ time }) => time)
          assert.isAtLeast(ended.length, atLeast)
          assert.deepStrictEqual(ended, consecutive(schedules[job], ended))
          for (const [former, run] of pairs(own)) {
            assert.isTrue(run.token >= former.token)
            // Where the former one was not finished it runs again.
            assert.isTrue(former.outcome === "ended" ? run.time > former.time : run.time === former.time)
            // What crashed has no end, and another leader goes on.
            assert.isTrue(former.outcome === undefined ? run.token > former.token : run.startedAt >= former.endedAt)
          }
        }
      }).pipe(Effect.provide(JobLog.layerMemory)),
    patience
  )
})

describe("a virtual hour of everything that can go wrong", () => {
  it.effect(
    "each occurrence runs to its end at least once, in order, under tokens in order",
    () =>
      Effect.gen(function* () {
        const { run, runs } = makeRuns()
        const schedule = Cron.parseUnsafe("*/2 * * * *", "UTC")
        const report = yield* Simulation.run({
          work: Scheduler.run([{ name: "often", schedule, run: run("20 seconds"), onMissed: all }]),
          seed: 2,
          duration: "1 hour"
        })
        assert.deepStrictEqual(report.violations, [], report.explain())
        const ended = [...new Set(runs.flatMap(({ outcome, time }) => (outcome === "ended" ? [time] : [])))]
        // How many depends on the clock of the last leader, which is an hour off at most, or was set.
        assert.isAtLeast(ended.length, 10)
        assert.deepStrictEqual(ended, consecutive(schedule, ended))
        for (const [former, run] of pairs(runs)) {
          assert.isTrue(run.token >= former.token)
          assert.isAtLeast(run.time, former.time)
        }
      }).pipe(Effect.provide(JobLog.layerMemory)),
    patience
  )
})

const pairs = <A>(of: ReadonlyArray<A>) =>
  of.slice(1).flatMap((later, index): ReadonlyArray<readonly [A, A]> => {
    const former = of[index]
    return former === undefined ? [] : [[former, later]]
  })
