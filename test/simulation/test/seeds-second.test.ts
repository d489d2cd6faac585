/**
 * One half of the seeds, since each file runs on a core of its own. The other is beside it.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Seeds from "../src/Seeds.ts"

const seeds = Seeds.share(1, 2)

it.live.runIf(seeds.length > 0)(
  `${seeds.length} random schedules of the real election keep the invariants`,
  () =>
    Effect.gen(function* () {
      const { broken, faults, seeds: ran, terms, virtualHours } = yield* Seeds.run(seeds)
      // eslint-disable-next-line no-console -- the number simulated is printed, not claimed
      console.log(`simulated ${ran} seeds: ${virtualHours.toFixed(1)} hours, ${faults} faults, ${terms} terms`)
      assert.strictEqual(broken.join("\n\n"), "")
    }),
  24 * 3_600_000
)
