/** Jobs in virtual hours, on the real election and a log in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import type { Job, OnInterrupted, OnMissed } from "../src/Job.ts"
import { JobLog } from "../src/JobLog.ts"
import { begin, hourly, layer, makeDiary, pass, start } from "./Cluster.ts"

const inACluster = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.andThen(begin, test).pipe(Effect.provide(layer), Effect.provide(Logger.layer([])))

/** Without the tokens, where they do not matter. */
const plain = (lines: ReadonlyArray<string>) => lines.map((line) => line.replace(/ under .*/, ""))

const stateOf = (job: string) =>
  Effect.gen(function* () {
    const log = yield* JobLog
    const entry = (yield* log.open(9999n)).get(job)
    return entry === undefined ? "unknown" : `${DateTime.formatIso(entry.occurrence).slice(11, 16)} ${entry.state}`
  })

describe("a scheduled job", () => {
  it.effect("runs at its time in one of three candidates, and begins with the first occurrence after it is known", () =>
    Effect.gen(function* () {
      const diary = makeDiary()
      const job: Job = { name: "hourly", schedule: hourly, run: diary.run() }
      for (const identity of ["a", "b", "c"]) yield* start(identity, [job])
      yield* pass("3 hours")
      assert.deepStrictEqual(plain(diary.lines), [
        "01:00 starts at 01:00",
        "01:00 ends at 01:00",
        "02:00 starts at 02:00",
        "02:00 ends at 02:00",
        "03:00 starts at 03:00",
        "03:00 ends at 03:00"
      ])
      assert.strictEqual(yield* stateOf("hourly"), "03:00 Succeeded")
    }).pipe(inACluster)
  )

  it.effect("goes on under the next leader, with a greater token", () =>
    Effect.gen(function* () {
      const diary = makeDiary()
      const job: Job = { name: "hourly", schedule: hourly, run: diary.run() }
      const a = yield* start("a", [job])
      yield* pass("1 hour")
      yield* start("b", [job])
      yield* pass("1 minute")
      yield* a.end
      yield* pass("1 hour")
      const tokens = diary.lines.map((line) => Number(line.split(" ").at(-1)))
      assert.deepStrictEqual(
        plain(diary.lines).filter((line) => line.includes("starts")),
        ["01:00 starts at 01:00", "02:00 starts at 02:00"]
      )
      assert.isAbove(tokens[2] ?? 0, tokens[0] ?? 0)
    }).pipe(inACluster)
  )

  it.effect("gets the time, the token and a key that is the same in each run of the occurrence", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const job: Job = {
        name: "hourly",
        schedule: hourly,
        run: ({ key, token }) =>
          Effect.andThen(
            Effect.sync(() => seen.push(`${key} ${token}`)),
            Effect.never
          )
      }
      const a = yield* start("a", [job])
      yield* pass("40 minutes")
      yield* a.end
      yield* pass("1 minute")
      yield* start("b", [job])
      yield* pass("1 minute")
      const [first, second] = seen.map((line) => line.split(" "))
      assert.strictEqual(first?.[0], "hourly@2026-01-01T01:00:00.000Z")
      assert.strictEqual(second?.[0], first?.[0])
      assert.isAbove(Number(second?.[1]), Number(first?.[1]))
    }).pipe(inACluster)
  )

  it.effect("never runs twice for an occurrence when the clock is set back", () =>
    Effect.gen(function* () {
      const diary = makeDiary()
      yield* start("a", [{ name: "hourly", schedule: hourly, run: diary.run() }])
      yield* pass("31 minutes")
      yield* TestClock.setTime(DateTime.toEpochMillis(DateTime.makeUnsafe("2026-01-01T00:50:00Z")))
      yield* pass("80 minutes")
      assert.deepStrictEqual(
        plain(diary.lines).filter((line) => line.includes("starts")),
        ["01:00 starts at 01:00", "02:00 starts at 02:00"]
      )
    }).pipe(inACluster)
  )

  it.effect("keeps to its zone through the night in which an hour comes twice, across a change of leader in it", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(DateTime.makeUnsafe("2026-10-24T12:00:00Z")))
      const diary = makeDiary()
      // 2:30 is 00:30 and 01:30 UTC that night, and the first one counts.
      const job: Job = { name: "nightly", schedule: Cron.parseUnsafe("30 2 * * *", "Europe/Berlin"), run: diary.run() }
      const a = yield* start("a", [job])
      yield* pass("13 hours")
      yield* start("b", [job])
      yield* pass("1 minute")
      yield* a.end
      yield* pass("25 hours")
      assert.deepStrictEqual(
        plain(diary.lines).filter((line) => line.includes("starts")),
        ["00:30 starts at 00:30", "01:30 starts at 01:30"]
      )
    }).pipe(inACluster)
  )
})

describe("occurrences that were missed while nobody led", () => {
  const afterFourHours = (onMissed: OnMissed | undefined) =>
    Effect.gen(function* () {
      const diary = makeDiary()
      const job: Job = {
        name: "hourly",
        schedule: hourly,
        run: diary.run("1 minute"),
        ...(onMissed === undefined ? {} : { onMissed })
      }
      const a = yield* start("a", [job])
      yield* pass("45 minutes")
      yield* a.end
      yield* pass("4 hours")
      yield* start("b", [job])
      yield* pass("1 hour")
      return plain(diary.lines)
        .filter((line) => line.includes("starts"))
        .slice(1)
    }).pipe(inACluster)

  it.effect("skip: do not run", () =>
    Effect.map(afterFourHours("skip"), (runs) => assert.deepStrictEqual(runs, ["06:00 starts at 06:00"]))
  )

  it.effect("once, the default: run once, for the latest", () =>
    Effect.gen(function* () {
      const expected = ["05:00 starts at 05:15", "06:00 starts at 06:00"]
      assert.deepStrictEqual(yield* afterFourHours("once"), expected)
      assert.deepStrictEqual(yield* afterFourHours(undefined), expected)
    })
  )

  it.effect("all: run one after another, in order", () =>
    Effect.map(afterFourHours({ all: 100 }), (runs) =>
      assert.deepStrictEqual(runs, [
        "02:00 starts at 05:15",
        "03:00 starts at 05:16",
        "04:00 starts at 05:17",
        "05:00 starts at 05:18",
        "06:00 starts at 06:00"
      ])
    )
  )

  it.effect("all, with a bound: only the latest of them run", () =>
    Effect.map(afterFourHours({ all: 2 }), (runs) =>
      assert.deepStrictEqual(runs, ["04:00 starts at 05:15", "05:00 starts at 05:16", "06:00 starts at 06:00"])
    )
  )
})

describe("a run that its leader did not live to finish", () => {
  const interruptedAtFivePast = (releases: boolean, onInterrupted?: OnInterrupted) =>
    Effect.gen(function* () {
      const diary = makeDiary()
      const job: Job = {
        name: "hourly",
        schedule: hourly,
        run: diary.run("10 minutes"),
        ...(onInterrupted === undefined ? {} : { onInterrupted })
      }
      const a = yield* start("a", [job], { releases })
      yield* pass("35 minutes")
      yield* start("b", [job])
      yield* a.end
      yield* pass("20 minutes")
      return { lines: plain(diary.lines), state: yield* stateOf("hourly") }
    }).pipe(inACluster)

  it.effect("rerun, the default: runs again, before any later occurrence", () =>
    Effect.gen(function* () {
      const { lines, state } = yield* interruptedAtFivePast(true)
      assert.deepStrictEqual(lines, [
        "01:00 starts at 01:00",
        "01:00 is interrupted at 01:05",
        "01:00 starts at 01:05",
        "01:00 ends at 01:15"
      ])
      assert.strictEqual(state, "01:00 Succeeded")
    })
  )

  it.effect("rerun: runs again once the lease has run out, if nobody gave it back", () =>
    Effect.gen(function* () {
      const { lines } = yield* interruptedAtFivePast(false)
      assert.match(lines[2] ?? "", /^01:00 starts at 01:(09|10)$/)
      assert.match(lines[3] ?? "", /^01:00 ends at 01:(19|20)$/)
    })
  )

  it.effect("skip: does not run again, and the next occurrence does", () =>
    Effect.gen(function* () {
      const { lines, state } = yield* interruptedAtFivePast(true, "skip")
      assert.deepStrictEqual(lines, ["01:00 starts at 01:00", "01:00 is interrupted at 01:05"])
      assert.strictEqual(state, "01:00 Interrupted")
    })
  )

  it.effect.each(["the process ends", "the leader resigns"])(
    "is recorded as ended, if it had just ended when %s",
    (how) =>
      Effect.gen(function* () {
        const diary = makeDiary()
        const job: Job = { name: "hourly", schedule: hourly, run: diary.run("5 minutes") }
        const slow = Layer.effect(
          JobLog,
          Effect.map(JobLog, (log) =>
            JobLog.of({ ...log, write: (name, entry) => Effect.delay(log.write(name, entry), "5 seconds") })
          )
        )
        const a = yield* start("a", [job]).pipe(Effect.provide(slow))
        // Started at 1:00:05, since that had to be recorded, and ended at 1:05:05.
        yield* pass("35 minutes")
        yield* pass("7 seconds")
        yield* start("b", [job])
        yield* how === "the process ends" ? a.end : Effect.forkDetach(a.election.resign)
        yield* pass("20 minutes")
        assert.deepStrictEqual(plain(diary.lines), ["01:00 starts at 01:00", "01:00 ends at 01:05"])
        assert.strictEqual(yield* stateOf("hourly"), "01:00 Succeeded")
      }).pipe(inACluster)
  )
})

describe("a run that takes longer than the interval", () => {
  const ofHundredMinutes = (onMissed: OnMissed) =>
    Effect.gen(function* () {
      const diary = makeDiary()
      yield* start("a", [{ name: "hourly", schedule: hourly, onMissed, run: diary.run("100 minutes") }])
      yield* pass("6 hours")
      return plain(diary.lines)
    }).pipe(inACluster)

  it.effect("is never joined by a second one: what it ran over counts as missed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ofHundredMinutes("skip"), [
        "01:00 starts at 01:00",
        "01:00 ends at 02:40",
        "03:00 starts at 03:00",
        "03:00 ends at 04:40",
        "05:00 starts at 05:00"
      ])
      assert.deepStrictEqual(yield* ofHundredMinutes("once"), [
        "01:00 starts at 01:00",
        "01:00 ends at 02:40",
        "02:00 starts at 02:40",
        "02:00 ends at 04:20",
        "04:00 starts at 04:20",
        "04:00 ends at 06:00",
        "06:00 starts at 06:00"
      ])
      assert.deepStrictEqual(yield* ofHundredMinutes({ all: 10 }), [
        "01:00 starts at 01:00",
        "01:00 ends at 02:40",
        "02:00 starts at 02:40",
        "02:00 ends at 04:20",
        "03:00 starts at 04:20",
        "03:00 ends at 06:00",
        "04:00 starts at 06:00"
      ])
    })
  )
})

describe("a run that fails", () => {
  it.effect("is recorded and not repeated; the job, the other jobs and the leader go on", () =>
    Effect.gen(function* () {
      const diary = makeDiary()
      const failing = (name: string, failure: Effect.Effect<void, string>): Job => ({
        name,
        schedule: hourly,
        run: (occurrence) => Effect.andThen(diary.run()(occurrence), failure)
      })
      const { election } = yield* start("a", [
        failing("fails", Effect.fail("broken")),
        failing("dies", Effect.die("a bug")),
        failing("interrupts-itself", Effect.interrupt),
        failing("works", Effect.void)
      ])
      yield* pass("1 minute")
      const since = yield* election.leader
      yield* pass("2 hours")
      assert.strictEqual(diary.lines.length, 4 * 2 * 2)
      assert.isTrue(yield* election.isLeader)
      assert.deepStrictEqual(yield* election.leader, since)
      for (const name of ["fails", "dies", "interrupts-itself"]) {
        assert.strictEqual(yield* stateOf(name), "02:00 Failed")
      }
      assert.strictEqual(yield* stateOf("works"), "02:00 Succeeded")
    }).pipe(inACluster)
  )
})

describe("a leader whose log was opened by a newer one", () => {
  it.effect("starts nothing, and resigns", () =>
    Effect.gen(function* () {
      const diary = makeDiary()
      const { election } = yield* start("a", [{ name: "hourly", schedule: hourly, run: diary.run() }])
      yield* pass("1 minute")
      const log = yield* JobLog
      yield* log.open(1000n)
      const before = yield* election.leader
      yield* pass("40 minutes")
      assert.deepStrictEqual(diary.lines, [])
      assert.notDeepEqual(yield* election.leader, before)
    }).pipe(inACluster)
  )
})

describe("jobs that cannot be scheduled", () => {
  it.effect("fail the layer that would schedule them", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(start("a", [{ name: "a job", schedule: hourly, run: () => Effect.void }]))
      assert.strictEqual(error._tag, "InvalidJobs")
      assert.include(error.message, `the name "a job" must be`)
    }).pipe(inACluster)
  )
})
