/**
 * The decide room explored: every world that a bounded adversary can reach keeps the invariants, and with any rule of the
 * protocol switched off some world does not. EXPLORE=deep takes minutes and gigabytes for what is cut short here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Settings from "../../src/Settings.ts"
import { explore, leadsSoon } from "./Explore.ts"
import type { Explored } from "./Explore.ts"
import { everyFault } from "./Moves.ts"
import { mutants } from "./Mutants.ts"
import type { Mutant } from "./Mutants.ts"
import { initial, product, second } from "./World.ts"
import type { Entrant } from "./World.ts"

const entrant = (identity: string, rate: bigint, options: Settings.Options = {}, incarnation = identity): Entrant => {
  const settings = Settings.fromOptions(
    {
      identity,
      leaseDuration: "30 seconds",
      renewDeadline: "20 seconds",
      retryPeriod: "10 seconds",
      requestTimeout: "5 seconds",
      drainTimeout: "15 seconds",
      clockDrift: 0.1,
      ...options
    },
    { name: "model", incarnation, defaultIdentity: identity, durationUnit: undefined }
  )
  if (settings instanceof Settings.InvalidTimings) throw settings
  return { settings, rate }
}

// Clocks at both ends of the drift, and one between.
const a = entrant("a", 90n)
const b = entrant("b", 110n)
const c = entrant("c", 100n)

const entrantsOf = (which: Mutant["entrants"]): ReadonlyArray<Entrant> => {
  switch (which) {
    case "Alone":
      return [a]
    case "Namesakes":
      return [a, entrant("a", 110n, {}, "another")]
    case "SameClocks":
      return [entrant("a", 100n), entrant("b", 100n)]
    case "ShortLease": {
      const short = { leaseDuration: "15 seconds", renewDeadline: "9 seconds", retryPeriod: "4 seconds" } as const
      return [a, entrant("b", 110n, { ...short, requestTimeout: "2 seconds" })]
    }
    case "SlowDrain": {
      const slow = { drainTimeout: "10 minutes" } as const
      return [entrant("a", 90n, slow), entrant("b", 110n, slow)]
    }
    case undefined:
      return [a, b]
  }
}

const report = (name: string, { depth, isComplete, states }: Explored) => {
  // eslint-disable-next-line no-console -- the number explored is printed, not claimed
  console.log(`explored ${name}: ${states} states, depth ${depth}${isComplete ? ", all of them" : ""}`)
}

const holds = (explored: Explored) => {
  assert.strictEqual(explored.found?.timeline.join("\n"), undefined)
}

describe("every reachable world keeps the invariants", () => {
  const isDeep = process.env["EXPLORE"] === "deep"
  // Whatever happened: a lease, the rest after a resignation, a backoff, and the requests to get there.
  const bound = 100n * second

  it("without faults, for ever one term", () => {
    const explored = explore(product, { horizon: 200n * second, faults: [] }, initial([a, b, c], 0), {
      always: leadsSoon(product, bound)
    })
    report("three candidates, no fault", explored)
    holds(explored)
    assert.isTrue(explored.isComplete)
  })

  it("two candidates, any one fault at any instant", { timeout: 120_000 }, () => {
    const explored = explore(product, { horizon: 70n * second, faults: everyFault }, initial([a, b], 1), {
      always: leadsSoon(product, bound, 10)
    })
    report(`two candidates, any one of ${everyFault.length} faults`, explored)
    holds(explored)
    assert.isTrue(explored.isComplete)
  })

  it("two candidates, any two faults: the first worlds, and with EXPLORE=deep all", { timeout: 3_600_000 }, () => {
    const explored = explore(product, { horizon: 48n * second, faults: everyFault }, initial([a, b], 2), {
      limit: isDeep ? 8_000_000 : 60_000,
      always: leadsSoon(product, bound, 100)
    })
    report(`two candidates, any two of ${everyFault.length} faults`, explored)
    holds(explored)
  })

  it("three candidates, any one fault: the first worlds, and with EXPLORE=deep all", { timeout: 3_600_000 }, () => {
    const explored = explore(product, { horizon: 48n * second, faults: everyFault }, initial([a, b, c], 1), {
      limit: isDeep ? 8_000_000 : 60_000,
      always: leadsSoon(product, bound, 100)
    })
    report(`three candidates, any one of ${everyFault.length} faults`, explored)
    holds(explored)
  })

  it("two candidates, two faults of the same kind or of two kinds that go together", { timeout: 3_600_000 }, () => {
    for (const faults of [
      ["Lose", "Delay"],
      ["Lag", "Edit"],
      ["Cut", "Freeze"],
      ["Resign", "Delay"],
      ["Shutdown", "Delete"],
      ["Suspend", "Cut"],
      ["Crash", "Restart"],
      ["Delay", "Delete"],
      ["Recreate", "Delete"],
      ["Freeze", "Delete"]
    ] as const) {
      const explored = explore(product, { horizon: 48n * second, faults }, initial([a, b], 2), {
        limit: isDeep ? 8_000_000 : 25_000,
        always: leadsSoon(product, bound, 100)
      })
      report(`two candidates, two faults of ${faults.join(" and ")}`, explored)
      holds(explored)
    }
  })
})

describe("without a rule some world breaks", () => {
  for (const mutant of mutants) {
    it(`${mutant.rule}: ${mutant.without}`, { timeout: 120_000 }, () => {
      const bounds = { horizon: 70n * second, faults: mutant.faults }
      const start = initial(entrantsOf(mutant.entrants), mutant.budget)
      const withRule = explore(product, bounds, start, {
        limit: 20_000,
        ...(mutant.always === undefined ? {} : { always: mutant.always(product) })
      })
      holds(withRule)
      const withoutRule = explore(mutant.decide, bounds, start, {
        limit: 1_000_000,
        ...(mutant.always === undefined ? {} : { always: mutant.always(mutant.decide) })
      })
      assert.strictEqual(withoutRule.found?.violation.invariant, mutant.breaks, withoutRule.found?.timeline.join("\n"))
    })
  }
})
