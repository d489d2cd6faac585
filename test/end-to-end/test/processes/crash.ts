/**
 * A leader that is killed, or stopped and continued when another already leads.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ApiServer } from "../../src/ApiServer.ts"
import { inMillis } from "../../src/History.ts"
import type { Timings } from "../../src/Replicas.ts"
import { compete, seconds, tell, termOf } from "./Competition.ts"

export interface CrashPlan {
  readonly timings: Timings
  readonly alsoWithoutGuards: boolean
}

export const crashTests = (
  it: Vitest.MethodsNonLive<ApiServer>,
  name: string,
  { alsoWithoutGuards, timings }: CrashPlan
): void => {
  it.effect("SIGKILL: the next leader waits for the lease to expire, and no longer", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const { lease, replicas, leader } = yield* compete({ timings })
      // So that the others have seen the last renewal when it was made, and not when they came.
      yield* Effect.sleep(timings.retryPeriod * 1500)

      yield* leader.replica.kill
      assert.strictEqual(yield* leader.replica.exit, "SIGKILL")
      const { startedAt } = yield* termOf(replicas, yield* replicas.nextLeader(leader))

      const lastWrite = (yield* server.requests).findLast(
        (it) => it.user === leader.replica.user && it.lease === lease && it.verb === "update" && isSuccess(it.status)
      )
      const expiresAt = (lastWrite?.at ?? 0n) + seconds(timings.leaseDuration)
      yield* tell(`${name}, leader killed, lease expired -> next leader's work`, startedAt - expiresAt)
      // The log of the server is exact to a few milliseconds.
      assert.isTrue(startedAt > expiresAt - seconds(0.005))
      assert.isTrue(startedAt < expiresAt + seconds(5))
      assert.deepStrictEqual(yield* replicas.violations, [])
    })
  )

  it.effect("SIGSTOP until another leads, SIGCONT: no guarded work any more, then on standby, and leads again", () =>
    Effect.gen(function* () {
      const { candidates, replicas, leader } = yield* compete({ timings })
      const frozen = leader.replica

      yield* frozen.freeze
      const next = yield* replicas.nextLeader(leader)
      yield* Effect.sleep("500 millis")
      const thawedAt = yield* frozen.thaw
      yield* replicas.until(() =>
        frozen.entries().find((it) => it.event === "Standby" && it.at > thawedAt && it.leader === next.replica.identity)
      )
      yield* Effect.sleep(timings.retryPeriod * 2000)

      const { ticks } = yield* termOf(replicas, leader)
      assert.deepStrictEqual(
        ticks.filter((at) => at > thawedAt),
        []
      )
      assert.isTrue(yield* frozen.isRunning)

      const third = candidates.find((it) => it !== frozen && it !== next.replica)
      if (third !== undefined) yield* Effect.andThen(third.terminate, third.exit)
      yield* next.replica.terminate
      const last = yield* replicas.nextLeader(next)
      assert.strictEqual(last.replica.identity, frozen.identity)
      assert.deepStrictEqual(yield* replicas.violations, [])
    })
  )

  if (!alsoWithoutGuards) return
  it.effect("SIGSTOP until another leads, SIGCONT: work without guards ends as soon as the process looks", () =>
    Effect.gen(function* () {
      const { replicas, leader } = yield* compete({ timings, env: { GUARDED: "false" } })

      yield* leader.replica.freeze
      yield* replicas.nextLeader(leader)
      const thawedAt = yield* leader.replica.thaw
      const ended = yield* replicas.until(() => leader.replica.entries().find((it) => it.event === "Ended"))

      const { ticks } = yield* termOf(replicas, leader)
      const late = ticks.filter((at) => at > thawedAt).length
      yield* tell(`${name}, unguarded work of a thawed leader: ${late} ticks, ended`, ended.at - thawedAt)
      assert.isBelow(inMillis(ended.at - thawedAt), 1000)
    })
  )
}

const isSuccess = (status: number | undefined): boolean => status === 200 || status === 201
