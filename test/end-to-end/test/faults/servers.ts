/**
 * Faults of the API server and of the etcd behind it, which only a real one has.
 */
import type { Vitest } from "@effect/vitest"
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import * as Effect from "effect/Effect"
import type { Stage } from "../../src/Stage.ts"
import { now } from "../processes/Competition.ts"
import { nobodyWorks, recovery, scene, within } from "./Scene.ts"

type It = Vitest.MethodsNonLive<Stage | ControlPlane>

export const serverFaults = (it: It): void => {
  scene<ControlPlane>(
    it,
    "the API server is killed and comes back: somebody leads",
    Effect.fnUntraced(function* ({ stage }) {
      const plane = yield* ControlPlane
      yield* plane.killApiServer
      yield* Effect.orDie(plane.startApiServer)
      yield* within("API server killed", "somebody works", recovery(stage), Effect.flatMap(now, stage.workerAfter))
    })
  )

  scene<ControlPlane>(
    it,
    "etcd is killed and comes back: somebody leads",
    Effect.fnUntraced(function* ({ stage }) {
      const plane = yield* ControlPlane
      yield* plane.killEtcd
      yield* Effect.orDie(plane.startEtcd)
      yield* within("etcd killed", "somebody works", recovery(stage), Effect.flatMap(now, stage.workerAfter))
    })
  )

  scene<ControlPlane>(
    it,
    "etcd hangs for longer than a lease: nobody works after the deadline, and somebody does when it is over",
    Effect.fnUntraced(function* (scene) {
      const { leader, stage } = scene
      const plane = yield* ControlPlane
      yield* plane.freezeEtcd
      const from = yield* now
      yield* Effect.sleep((stage.timings.leaseDuration + 1) * 1000)
      const until = yield* now
      yield* plane.thawEtcd
      yield* within("etcd frozen", "somebody leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* nobodyWorks(scene, from, until)
    })
  )

  scene<ControlPlane>(
    it,
    "API server and etcd hang for longer than a lease: nobody works after the deadline, and then somebody does",
    Effect.fnUntraced(function* (scene) {
      const { leader, stage } = scene
      const plane = yield* ControlPlane
      yield* Effect.all([plane.freezeApiServer, plane.freezeEtcd])
      const from = yield* now
      yield* Effect.sleep((stage.timings.leaseDuration + 1) * 1000)
      const until = yield* now
      yield* Effect.all([plane.thawEtcd, plane.thawApiServer])
      yield* within("both frozen", "somebody leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* nobodyWorks(scene, from, until)
    })
  )
}
