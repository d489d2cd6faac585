/**
 * What candidates ask of the API server when nothing happens.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ApiServer } from "../../src/ApiServer.ts"
import type { Timings } from "../../src/Replicas.ts"
import * as Sockets from "../../src/Sockets.ts"
import { compete, now, seconds } from "./Competition.ts"

export interface RequestsPlan {
  readonly timings: Timings
  /** In seconds; at least five retry periods. */
  readonly watchedFor: number
}

export const requestsTests = (it: Vitest.MethodsNonLive<ApiServer>, name: string, plan: RequestsPlan): void => {
  it.effect("an idle follower asks for nothing, a leader sends one PUT per retry period on a kept connection", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const { timings, watchedFor } = plan
      const { candidates, lease, leader } = yield* compete({ timings })
      const followers = candidates.filter((it) => it !== leader.replica)
      const connections = () => (Sockets.areVisible ? Sockets.localPortsOf(leader.replica.pid, server.port) : [])
      // So that the first renewal has its connection.
      yield* Effect.sleep(timings.retryPeriod * 1500)

      const from = yield* now
      const connectionsBefore = connections()
      yield* Effect.sleep(watchedFor * 1000)
      const connectionsAfter = connections()
      const to = yield* now

      const requests = (yield* server.requests).filter((it) => from < it.at && it.at < to)
      const of = (user: string) => requests.filter((it) => it.user === user).map((it) => [it.verb, it.lease, it.status])
      for (const { user } of followers) assert.deepStrictEqual(of(user), [])
      const renewals = of(leader.replica.user)
      assert.deepStrictEqual(
        renewals,
        renewals.map(() => ["update", lease, 200])
      )
      const periods = Number(to - from) / Number(seconds(timings.retryPeriod))
      assert.isAtLeast(renewals.length, Math.floor(periods) - 1)
      assert.isAtMost(renewals.length, Math.ceil(periods))
      assert.deepStrictEqual(connectionsAfter, connectionsBefore)
      // One for the watch, one for the renewals.
      if (Sockets.areVisible) assert.strictEqual(connectionsAfter.length, 2)
      const byFollowers = followers.map(({ user }) => of(user).length).join(" and ")
      yield* Console.log(
        `${name}, ${watchedFor} s: ${renewals.length} renewals, ${byFollowers} requests by followers, ` +
          `the leader's connections by local port: ${connectionsAfter.join(", ")}`
      )
    })
  )
}
