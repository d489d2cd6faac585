/** What is to be done next, as a table: no clock, no election. */
import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Job from "../src/Job.ts"
import type { Entry, State } from "../src/JobLog.ts"
import * as Step from "../src/Step.ts"

const at = (text: string) => DateTime.makeUnsafe(text)

const hourly: Job.Scheduled = { name: "hourly", schedule: Cron.parseUnsafe("0 * * * *", "UTC") }

const entry = (state: State, occurrence: string): Entry => ({
  state,
  occurrence: at(occurrence),
  token: 1n,
  writtenAt: at(occurrence)
})

/** A step in short: `Run 2026-01-01T10:00:00.000Z missed, drops`. */
const say = (step: Step.Step): string => {
  const time = `${step._tag} ${DateTime.formatIso(step.occurrence)}`
  if (step._tag === "Await") return time
  return step._tag === "Run" ? `${time} ${step.why}${step.drops ? ", drops" : ""}` : `${time} ${step.as}`
}

const next = (job: Job.Scheduled, state: State, occurrence: string, now: string) =>
  say(Step.next(job, entry(state, occurrence), at(now)))

describe("the next step of a job", () => {
  it("awaits the occurrence after the last one, however early it is", () => {
    for (const state of ["Registered", "Succeeded", "Failed", "Interrupted", "Skipped"] as const) {
      assert.strictEqual(
        next(hourly, state, "2026-01-01T09:00:00Z", "2026-01-01T09:00:01Z"),
        "Await 2026-01-01T10:00:00.000Z"
      )
    }
  })

  it("does not come back to an occurrence when the clock is set back", () => {
    assert.strictEqual(
      next(hourly, "Succeeded", "2026-01-01T09:00:00Z", "2026-01-01T05:30:00Z"),
      "Await 2026-01-01T10:00:00.000Z"
    )
  })

  const missedFour = [hourly, "Succeeded", "2026-01-01T09:00:00Z", "2026-01-01T13:00:00Z"] as const

  it("skip: drops all that was missed, up to the latest", () => {
    const [job, ...rest] = missedFour
    assert.strictEqual(next({ ...job, onMissed: "skip" }, ...rest), "Drop 2026-01-01T13:00:00.000Z Skipped")
  })

  it("once, the default: runs the latest for all", () => {
    const [job, ...rest] = missedFour
    assert.strictEqual(next({ ...job, onMissed: "once" }, ...rest), "Run 2026-01-01T13:00:00.000Z missed, drops")
    assert.strictEqual(next(...missedFour), next({ ...job, onMissed: "once" }, ...rest))
    assert.strictEqual(
      next(job, "Succeeded", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"),
      "Run 2026-01-01T13:00:00.000Z missed"
    )
  })

  it("all: runs the oldest first, and drops what is beyond the bound", () => {
    const [job, ...rest] = missedFour
    assert.strictEqual(next({ ...job, onMissed: { all: 4 } }, ...rest), "Run 2026-01-01T10:00:00.000Z missed")
    assert.strictEqual(next({ ...job, onMissed: { all: 3 } }, ...rest), "Run 2026-01-01T11:00:00.000Z missed, drops")
  })

  it("reruns, by default, what was started and not finished, whatever was missed since", () => {
    for (const onMissed of ["skip", "once", { all: 3 }] as const) {
      assert.strictEqual(
        next({ ...hourly, onMissed }, "Started", "2026-01-01T09:00:00Z", "2026-01-01T13:00:00Z"),
        "Run 2026-01-01T09:00:00.000Z interrupted"
      )
    }
  })

  it("drops what was started and not finished, if asked to", () => {
    assert.strictEqual(
      next({ ...hourly, onInterrupted: "skip" }, "Started", "2026-01-01T09:00:00Z", "2026-01-01T09:00:30Z"),
      "Drop 2026-01-01T09:00:00.000Z Interrupted"
    )
  })

  it("finds the latest of millions of missed occurrences without counting them", () => {
    const everySecond = { ...hourly, schedule: Cron.parseUnsafe("* * * * * *", "Europe/Berlin") }
    assert.strictEqual(
      next({ ...everySecond, onMissed: { all: 3 } }, "Succeeded", "2021-01-01T00:00:00Z", "2026-07-01T00:00:00.500Z"),
      "Run 2026-06-30T23:59:58.000Z missed, drops"
    )
  })
})

describe("a change of daylight saving time", () => {
  const year = ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"] as const

  /** Every occurrence of a time, as a leader that is never late would find them. */
  const awaited = (job: Job.Scheduled, [from, until]: readonly [string, string]): ReadonlyArray<string> => {
    const found: Array<string> = []
    for (let time = at(from); ;) {
      const step = Step.next(job, { ...entry("Succeeded", from), occurrence: time }, time)
      assert.strictEqual(step._tag, "Await")
      if (DateTime.isGreaterThanOrEqualTo(step.occurrence, at(until))) return found
      time = step.occurrence
      found.push(DateTime.formatIso(time))
    }
  }

  const berlin = (expression: string, options?: Parameters<typeof Cron.parseUnsafe>[2]): Job.Scheduled => ({
    name: "job",
    schedule: Cron.parseUnsafe(expression, "Europe/Berlin", options)
  })
  const on = (day: string, times: ReadonlyArray<string>) =>
    times.filter((time) => time.startsWith(day)).map((time) => time.slice(11, 16))

  it("a time that does not exist that day occurs right after the gap: 365 nights have 365 runs", () => {
    const nightly = awaited(berlin("30 2 * * *"), year)
    assert.strictEqual(nightly.length, 365)
    assert.deepStrictEqual(on("2026-03-28", nightly), ["01:30"])
    assert.deepStrictEqual(on("2026-03-29", nightly), ["01:30"])
    assert.deepStrictEqual(on("2026-03-30", nightly), ["00:30"])
  })

  it("a time that exists twice occurs once, or twice if the schedule says so", () => {
    const night = ["2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"] as const
    assert.deepStrictEqual(on("2026-10-25", awaited(berlin("30 2 * * *"), night)), ["00:30"])
    assert.deepStrictEqual(on("2026-10-25", awaited(berlin("30 2 * * *", { onDstOverlap: "both" }), night)), [
      "00:30",
      "01:30"
    ])
    assert.strictEqual(awaited(berlin("0 * * * *"), night).length, 22)
    assert.strictEqual(awaited(berlin("0 * * * *", { onDstOverlap: "both" }), night).length, 23)
  })

  it("what is missed are the same occurrences as those that are awaited, in every zone, at every bound", () => {
    const changes = {
      "Europe/Berlin": ["03-29", "10-25"],
      "America/New_York": ["03-08", "11-01"],
      "Australia/Lord_Howe": ["04-05", "10-04"]
    }
    for (const [zone, days] of Object.entries(changes)) {
      for (const expression of ["30 2 * * *", "0 2,3 * * *", "15 */6 * * *"]) {
        for (const onDstOverlap of ["earlier", "both"] as const) {
          const schedule = Cron.parseUnsafe(expression, zone, { onDstOverlap })
          for (const day of days) {
            const around = DateTime.makeUnsafe(`2026-${day}T00:00:00Z`)
            const all = awaited({ name: "job", schedule }, [
              DateTime.formatIso(DateTime.subtract(around, { days: 6 })),
              DateTime.formatIso(DateTime.add(around, { days: 4 }))
            ])
            for (const [index, now] of all.entries()) {
              const since = all[index - 4]
              if (since === undefined) continue
              for (const bound of [1, 3]) {
                const job = { name: "job", schedule, onMissed: { all: bound } }
                assert.strictEqual(next(job, "Succeeded", since, now), `Run ${all[index - bound + 1]} missed, drops`)
              }
            }
          }
        }
      }
    }
  })
})

describe("jobs that cannot be scheduled", () => {
  const check = (...jobs: ReadonlyArray<Job.Scheduled>) => {
    const found = Job.check(jobs)
    return found._tag === "None" ? [] : found.value.violations
  }

  it("are told with every violation, before anything runs", () => {
    assert.deepStrictEqual(check(hourly, { ...hourly, name: "other", onMissed: { all: 1000 } }), [])
    assert.deepStrictEqual(
      check(
        hourly,
        hourly,
        { ...hourly, name: "a/b" },
        { name: "local", schedule: Cron.parseUnsafe("0 3 * * *") },
        { name: "never", schedule: Cron.parseUnsafe("0 0 31 2 *", "UTC") },
        { ...hourly, name: "none", onMissed: { all: 0 } }
      ),
      [
        `two jobs are called "hourly"`,
        `the name "a/b" must be 1 to 253 letters, digits, '-', '_' and '.', with a letter or digit first`,
        `the schedule of "local" names no time zone, so each machine would read it in its own`,
        `the schedule of "never", 0 0 31 2 *, never occurs`,
        `onMissed of "none" must run 1 to 1000 occurrences, not 0`
      ]
    )
  })
})
