/**
 * What a user sees of a simulation. That it finds what is wrong is shown in test/simulation.
 */
import { LeaderElection } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { Simulation } from "../src/index.ts"

class Reports extends LeaderElection.Service<Reports>()("test/Reports") {}
class Database extends Context.Service<Database, { readonly write: (token: bigint) => Effect.Effect<void> }>()(
  "test/Database"
) {}

const job = Effect.gen(function* () {
  const term = yield* Reports.Term
  const { write } = yield* Database
  yield* term.guard(write(term.token)).pipe(Effect.delay("1 second"), Effect.forever)
})

describe("a simulation", () => {
  it.live("runs a job of any election, with what the job needs, and tells what happened", () =>
    Effect.gen(function* () {
      const written: Array<bigint> = []
      const report = yield* Simulation.runOf(Reports)({
        work: job,
        seed: "any",
        candidates: 2,
        duration: "2 minutes"
      }).pipe(Effect.provideService(Database, { write: (token) => Effect.sync(() => written.push(token)) }))
      assert.deepStrictEqual(report.violations, [], report.explain())
      assert.isAbove(written.length, 20)
      assert.isAbove(report.faults.length, 5)
      assert.match(report.explain(), /^seed any: no violation\n/)
    })
  )

  it.live("does what a script says, and nothing else", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run({
        work: Effect.andThen(LeaderElection.Term, Effect.never),
        candidates: 1,
        duration: "1 minute",
        faults: [
          { at: "10 seconds", fault: { _tag: "Resign", candidate: "a" } },
          { at: "30 seconds", fault: { _tag: "Crash", candidate: "a", restartAfter: "5 seconds" } }
        ]
      })
      const happened = report.history.flatMap(({ at, event }) =>
        ["TermBegan", "TermEnding", "Crashed", "Closed"].includes(event._tag)
          ? [`${event._tag} ${Math.round(at / 1000)}`]
          : []
      )
      assert.deepStrictEqual(report.violations, [])
      assert.deepStrictEqual(happened.slice(0, 5), [
        "TermBegan 0",
        "TermEnding 10",
        "TermBegan 15",
        "Crashed 30",
        "TermBegan 50"
      ])
    })
  )

  it.live("goes on when the job fails: its process ends, and another follows", () =>
    Effect.gen(function* () {
      const failing = Effect.andThen(LeaderElection.Term, Effect.delay(Effect.fail("no paper"), "20 seconds"))
      const report = yield* Simulation.run({ work: failing, duration: "2 minutes", faults: [] })
      assert.deepStrictEqual(report.violations, [], report.explain())
      assert.isAbove(report.failures.length, 3)
      assert.match(report.failures[0] ?? "", /no paper/)
    })
  )

  it.live("refuses settings that the election refuses", () =>
    Effect.gen(function* () {
      const work = Effect.andThen(LeaderElection.Term, Effect.never)
      const error = yield* Effect.flip(Simulation.run({ work, settings: { renewDeadline: "20 seconds" } }))
      assert.instanceOf(error, LeaderElection.InvalidTimings)
    })
  )
})
