/**
 * Replicas that may do on one Lease what the Role says, and nothing else. All tests of processes run under that Role;
 * here it is missing at first.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ApiServer, namespace } from "../../src/ApiServer.ts"
import * as Replicas from "../../src/Replicas.ts"
import { newLease, now, tell, termOf } from "./Competition.ts"

export const accessTests = (it: Vitest.MethodsNonLive<ApiServer>, name: string, timings: Replicas.Timings): void => {
  it.effect("a replica without a Role for the Lease says which one, keeps trying, and leads once it has it", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer
      const lease = yield* newLease
      // A Role for another Lease must not help.
      yield* server.allow(`${lease}-other`)
      const replicas = yield* Replicas.make({ lease, timings })

      const replica = yield* replicas.start("limited")
      const isTold = Effect.map(replica.log, (text) => text.includes("would allow it"))
      yield* Effect.repeat(Effect.delay(isTold, "50 millis"), { until: (told) => told })
      yield* Effect.sleep(timings.retryPeriod * 2000)

      const log = yield* replica.log
      assert.include(log, `get leases.coordination.k8s.io "${lease}" in namespace "${namespace}"`)
      assert.include(
        log,
        `a Role in namespace "${namespace}" with this rule would allow it: - {apiGroups: ["coordination.k8s.io"], ` +
          `resources: ["leases"], resourceNames: ["${lease}"], verbs: ["get"]}`
      )
      assert.isTrue(yield* replica.isRunning)
      assert.deepStrictEqual(yield* replicas.terms, [])

      const allowedAt = yield* now
      yield* server.allow(lease)
      const leader = yield* replicas.nextLeader()
      const { startedAt } = yield* termOf(replicas, leader)
      yield* tell(`${name}, Role granted -> work`, startedAt - allowedAt)
      assert.isTrue(yield* replica.isRunning)
    })
  )
}
