/**
 * An API server that goes away for a short time, or for longer than anybody may lead without it.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ApiServer } from "../../src/ApiServer.ts"
import type { Entry } from "../../src/Journal.ts"
import type { Timings } from "../../src/Replicas.ts"
import { compete, now, seconds, tell, termOf, untilItWatches } from "./Competition.ts"

/** A write that the server answered once it was back: whoever leads now does not live on what it wrote before. */
const firstWriteAfter = Effect.fnUntraced(function* (lease: string, instant: bigint) {
  const server = yield* ApiServer
  const find = Effect.map(server.requests, (requests) =>
    requests.find((it) => it.lease === lease && it.verb === "update" && it.status === 200 && it.at > instant)
  )
  return (yield* Effect.repeat(Effect.delay(find, "50 millis"), { until: (found) => found !== undefined }))?.at ?? 0n
})

const isTickAfter = (instant: bigint, entry: Entry): boolean => entry.event === "Tick" && entry.at > instant

export interface OutagePlan {
  readonly restart: { readonly timings: Timings; readonly downFor: number }
  readonly outage: { readonly timings: Timings; readonly downFor: number }
}

export const outageTests = (it: Vitest.MethodsNonLive<ApiServer>, name: string, plan: OutagePlan): void => {
  it.effect("the API server restarts: somebody leads after it, everybody watches again, never two", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const { timings, downFor } = plan.restart
      const { candidates, lease, replicas, leader } = yield* compete({ timings })

      const stoppedAt = yield* now
      yield* server.stop
      yield* Effect.sleep(downFor * 1000)
      yield* server.start
      const readyAt = yield* now

      const wroteAt = yield* firstWriteAfter(lease, readyAt)
      yield* replicas.until(() => candidates.flatMap((it) => it.entries()).find((it) => isTickAfter(wroteAt, it)))
      for (const replica of candidates) yield* untilItWatches(replica, lease, stoppedAt)
      assert.deepStrictEqual(yield* replicas.violations, [])
      for (const replica of candidates) assert.isTrue(yield* replica.isRunning)
      const wasKept = (yield* replicas.terms).at(-1)?.token === leader.token
      yield* Console.log(`${name}, restart: leadership ${wasKept ? "was kept" : "passed on"}`)
      yield* tell(`${name}, restart: API server away for`, readyAt - stoppedAt)
    })
  )

  it.effect("the API server hangs: work stops at the deadline, nobody works until it is back, then somebody does", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const { timings, downFor } = plan.outage
      const { candidates, replicas, leader } = yield* compete({ timings })

      yield* server.freeze
      const frozenAt = yield* now
      yield* Effect.sleep(downFor * 1000)
      const duringOutage = yield* replicas.entries
      const thawedAt = yield* now
      yield* server.thaw
      const next = yield* replicas.nextLeader(leader)

      const deadline = frozenAt + seconds(timings.renewDeadline)
      assert.deepStrictEqual(
        duringOutage.filter((it) => it.event === "Tick" && it.at > deadline),
        []
      )
      const { ticks, workedUntil } = yield* termOf(replicas, leader)
      assert.isTrue(workedUntil < frozenAt + seconds(timings.leaseDuration))
      const { startedAt } = yield* termOf(replicas, next)
      assert.isTrue(startedAt > thawedAt)
      assert.isTrue(startedAt < thawedAt + seconds(timings.leaseDuration + 5 * timings.retryPeriod))
      for (const replica of candidates) assert.isTrue(yield* replica.isRunning)
      assert.deepStrictEqual(yield* replicas.violations, [])
      yield* tell(`${name}, outage of ${downFor} s: last work after`, (ticks.at(-1) ?? 0n) - frozenAt)
      yield* tell(`${name}, outage of ${downFor} s: server back -> work`, startedAt - thawedAt)
    })
  )
}
