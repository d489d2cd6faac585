/**
 * A leader that is told to end.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ApiServer } from "../../src/ApiServer.ts"
import { by, inMillis } from "../../src/History.ts"
import type { Timings } from "../../src/Replicas.ts"
import { compete, firstWorkOf, seconds, tell, termOf, untilItFollows } from "./Competition.ts"

/** Interrupted by a signal, says NodeRuntime.runMain. */
const interrupted = 130

export interface HandoverPlan {
  readonly timings: Timings
  readonly rounds: number
}

export const handoverTests = (it: Vitest.MethodsNonLive<ApiServer>, name: string, plan: HandoverPlan): void => {
  it.effect("SIGTERM: the next leader works at once, and never two", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const { lease, replicas, leader: first } = yield* compete({ timings: plan.timings })

      let leader = first
      const rounds: Array<{ readonly "SIGTERM -> work": bigint; readonly "stopped -> work": bigint }> = []
      for (let round = 0; round < plan.rounds; round++) {
        const signalledAt = yield* leader.replica.terminate
        const next = yield* replicas.nextLeader(leader)
        assert.strictEqual(yield* leader.replica.exit, interrupted)

        const worksAt = firstWorkOf(yield* termOf(replicas, next))
        const { endedAt } = yield* termOf(replicas, leader)
        assert.isDefined(endedAt)
        rounds.push({
          "SIGTERM -> work": worksAt - signalledAt,
          "stopped -> work": worksAt - (endedAt ?? worksAt)
        })
        yield* untilItFollows(replicas, yield* replicas.start(leader.replica.user), lease)
        leader = next
      }

      assert.deepStrictEqual(yield* replicas.violations, [])
      assert.strictEqual((yield* replicas.terms).length, plan.rounds + 1)
      const { holder, transitions } = Option.getOrThrow(yield* server.lease(lease))
      assert.deepStrictEqual(holder, Option.some(leader.replica.identity))
      assert.strictEqual(transitions, plan.rounds)

      const spans = rounds.map((round) => round["SIGTERM -> work"])
      yield* tellAll(`${name}, graceful handover, SIGTERM -> next leader's work`, spans)
      yield* tellAll(
        `${name}, graceful handover, work stopped -> next leader's work`,
        rounds.map((round) => round["stopped -> work"])
      )
      assert.isBelow(inMillis(medianOf(spans)), 250)
    })
  )

  it.effect("SIGTERM: the next leader waits for a finalizer that takes half a second", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const { lease, replicas, leader } = yield* compete({
        timings: plan.timings,
        env: { FINALIZER: "500 millis" }
      })

      yield* leader.replica.terminate
      yield* replicas.until(() => leader.replica.entries().find(({ event }) => event === "Stopping"))
      const whileItDrains = Option.getOrThrow(yield* server.lease(lease))
      const next = yield* replicas.nextLeader(leader)

      assert.deepStrictEqual(whileItDrains.holder, Option.some(leader.replica.identity))
      assert.strictEqual(yield* leader.replica.exit, interrupted)
      const { endedAt = 0n, stoppingAt = 0n } = yield* termOf(replicas, leader)
      assert.isTrue(endedAt - stoppingAt >= seconds(0.499))
      const { startedAt } = yield* termOf(replicas, next)
      assert.isTrue(startedAt > endedAt)
      assert.deepStrictEqual(yield* replicas.violations, [])
      yield* tell(`${name}, handover with a finalizer of 500 ms, its end -> next leader's work`, startedAt - endedAt)
    })
  )
}

const medianOf = (spans: ReadonlyArray<bigint>): bigint =>
  spans.toSorted(by((span) => span))[Math.floor(spans.length / 2)] ?? 0n

const tellAll = (what: string, spans: ReadonlyArray<bigint>) => {
  const millis = spans.map((span) => inMillis(span).toFixed(1))
  const sorted = spans.toSorted(by((span) => span))
  const max = inMillis(sorted.at(-1) ?? 0n).toFixed(1)
  return Console.log(`${what}: p50 ${inMillis(medianOf(spans)).toFixed(1)} ms, max ${max} ms (${millis.join(", ")})`)
}
