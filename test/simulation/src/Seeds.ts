/**
 * Runs many seeds and reports what they found. SEEDS says how many (1,000), SEED runs that one alone.
 */
import { Simulation } from "@effect-leader/testkit"
import { Effect } from "effect"
import * as Scenario from "./Scenario.ts"

export interface Outcome {
  readonly seeds: number
  readonly terms: number
  readonly faults: number
  readonly virtualHours: number
  /** What to print about each seed that broke something, at most three. */
  readonly broken: ReadonlyArray<string>
}

/** Every `of`-th seed, beginning with the `part`-th: each test file takes its part, on a core of its own. */
export const share = (part: number, of: number): ReadonlyArray<number> => {
  const single = process.env["SEED"]
  if (single !== undefined) return Number(single) % of === part ? [Number(single)] : []
  const seeds = Number(process.env["SEEDS"] ?? 1000)
  return Array.from({ length: seeds }, (_, index) => index + 1).filter((seed) => seed % of === part)
}

export const run = Effect.fnUntraced(function* (seeds: ReadonlyArray<number>) {
  const broken: Array<string> = []
  let ran = 0
  let terms = 0
  let faults = 0
  let millis = 0
  for (const seed of seeds) {
    const report = yield* Simulation.run(Scenario.of(seed))
    ran += 1
    terms += report.history.filter(({ event }) => event._tag === "TermBegan").length
    faults += report.faults.length
    millis += report.history.at(-1)?.at ?? 0
    if (report.violations.length > 0 || report.failures.length > 0) {
      broken.push([`SEED=${seed} pnpm test:sim`, ...report.failures, report.explain()].join("\n"))
    }
    if (broken.length === 3) break
  }
  const outcome: Outcome = { seeds: ran, terms, faults, virtualHours: millis / 3_600_000, broken }
  return outcome
})
