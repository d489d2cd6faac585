/**
 * The worst of the faults on the embedded API server: a short version of the script in `faults.cluster.test.ts`.
 */
import { layer } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Layer from "effect/Layer"
import * as EmbeddedServer from "../src/EmbeddedServer.ts"
import * as Stage from "../src/Stage.ts"
import { terminatedInPut } from "./faults/processes.ts"
import { anotherLeads, leaderKeeps, scene } from "./faults/Scene.ts"

const timings = { leaseDuration: 3, renewDeadline: 2, retryPeriod: 0.5 }
const stage = Stage.layer(timings).pipe(Layer.provideMerge(EmbeddedServer.layer))

layer(stage, { excludeTestServices: true })("faults on the embedded API server", (it) => {
  scene(
    it,
    "the leader leads on when the answers to three writes are lost, each in its own way",
    leaderKeeps(
      { on: { method: "PUT", times: 1 }, fault: FaultProxy.delayAnswer("700 millis") },
      { on: { method: "PUT", times: 1 }, fault: FaultProxy.reset({ afterBytes: 100 }) },
      { on: { method: "PUT", times: 1 }, fault: FaultProxy.serverError({ carriedOut: true }) }
    )
  )
  scene(it, "another takes over in a partition", anotherLeads("partition", { fault: FaultProxy.partition }))
  terminatedInPut(it)
})
