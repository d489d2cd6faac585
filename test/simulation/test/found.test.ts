/**
 * What the simulation has found, each as the shortest script that shows it.
 */
import { LeaderElection } from "@effect-leader/core"
import { FaultyLock, Simulation } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

/** `a` leads, since `b` comes to the lock a little later. */
const aLeads: ReadonlyArray<Simulation.Planned> = [
  { at: 0.5, fault: { _tag: "Network", candidate: "b", conditions: FaultyLock.cut } },
  { at: 1000, fault: { _tag: "Network", candidate: "b", conditions: {} } }
]
const two = { candidates: 2, rates: [1, 1], duration: "1 minute" } as const

describe("found by simulation", () => {
  it.live("work is told to stop at the deadline even if the machine was suspended meanwhile", () =>
    Effect.gen(function* () {
      // Four seconds to stop, of the 4.7 that the settings leave.
      const work = Effect.andThen(LeaderElection.Term, Effect.ensuring(Effect.never, Effect.sleep("4 seconds")))
      const report = yield* Simulation.run({
        ...two,
        work,
        faults: [...aLeads, { at: 10_100, fault: { _tag: "Suspend", candidate: "a", for: 9800 } }]
      })
      assert.deepStrictEqual(report.violations, [], report.explain())
    })
  )

  it.live(
    "a renewal is news to a follower even if the holder's wall clock was set back to that of an earlier one",
    () =>
      Effect.gen(function* () {
        const work = Effect.andThen(LeaderElection.Term, Effect.never)
        // By four retry periods: some of the seeds hit the very millisecond.
        for (let seed = 1; seed <= 40; seed += 1) {
          const report = yield* Simulation.run({
            ...two,
            work,
            seed,
            faults: [
              ...aLeads,
              { at: 10_300, fault: { _tag: "Network", candidate: "b", conditions: FaultyLock.cut } },
              { at: 11_500, fault: { _tag: "SetWall", candidate: "a", byMillis: -8000 } },
              { at: 18_020, fault: { _tag: "Network", candidate: "b", conditions: {} } },
              { at: 18_100, fault: { _tag: "Network", candidate: "a", conditions: FaultyLock.cut } }
            ]
          })
          assert.deepStrictEqual(report.violations, [], report.explain())
        }
      })
  )
})
