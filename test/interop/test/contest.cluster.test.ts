/**
 * client-go's candidates and ours in open contest, where either kind may be the next, and with no more rights than ours
 * need.
 */
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as LeaseVersions from "../src/LeaseVersions.ts"
import * as Stage from "../src/Stage.ts"

const timings = { leaseDuration: 5, renewDeadline: 4, retryPeriod: 1 }

const ends = ["terminate", "kill", "terminate", "terminate", "kill", "terminate"] as const

layer(Stage.layer, { concurrent: true, excludeTestServices: true, timeout: "15 minutes" })("a contest", (it) => {
  it.effect("of two and two: whoever takes over from whomever, no two work at once", () =>
    Effect.gen(function* () {
      const { candidates, lease } = yield* Stage.sharedLease({ timings })
      const versions = yield* LeaseVersions.follow(lease)
      yield* Effect.forEach(["client-go", "ours", "client-go", "ours"] as const, (kind) => candidates.start(kind))
      let leader = yield* candidates.nextLeader()

      for (const end of ends) {
        const { candidate } = leader
        yield* candidate[end]
        leader = yield* candidates.nextLeader(leader)
        const back = yield* candidates.start(candidate.kind)
        yield* candidates.untilItFollows(back, leader)
      }

      yield* Console.log(
        candidates
          .terms()
          .map(({ identity }) => identity)
          .join(" -> ")
      )
      assert.deepStrictEqual(yield* candidates.violations, [])
      assert.strictEqual(candidates.terms().length, ends.length + 1)
      assert.strictEqual(versions().at(-1)?.spec.leaseTransitions, ends.length)
    })
  )

  it.effect(
    "under a Role for one Lease by its name: client-go cannot create it, and takes over what ours have made",
    () =>
      Effect.gen(function* () {
        const { candidates } = yield* Stage.leaseByName({ timings })
        const theirs = yield* candidates.start("client-go")
        yield* candidates.until(() => /cannot create resource .*leases/.exec(theirs.log()) ?? undefined)
        assert.deepStrictEqual(candidates.terms(), [])

        const ours = yield* candidates.start("ours")
        const leader = yield* candidates.nextLeader()
        assert.strictEqual(leader.candidate, ours)
        yield* candidates.untilItFollows(theirs, leader)
        yield* ours.terminate
        const next = yield* candidates.nextLeader(leader)

        assert.strictEqual(next.candidate, theirs)
        assert.deepStrictEqual(yield* candidates.violations, [])
      })
  )
})
