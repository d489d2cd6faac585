/**
 * My job, under election faults, in ten lines.
 */
import { Simulation } from "@effect-leader/testkit"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { job, Ledger } from "../src/job.ts"

it.live("charges in one place at a time, whatever happens to the election", () =>
  Effect.gen(function* () {
    const charges: Array<bigint> = []
    const charge = (token: bigint) => Effect.sync(() => charges.push(token))
    const work = Effect.provideService(job, Ledger, { charge, close: () => Effect.sleep("2 seconds") })
    const report = yield* Simulation.run({ work, seed: 2026, duration: "30 minutes" })
    assert.deepStrictEqual(report.violations, [], report.explain())
    assert.deepStrictEqual(
      charges,
      charges.toSorted((a, b) => Number(a - b))
    )
  })
)
