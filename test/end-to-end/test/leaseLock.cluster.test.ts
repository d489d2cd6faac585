/**
 * The Lease lock on a real kube-apiserver: the tests that it passes on the embedded one in `pnpm test`.
 */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { leaseLockTests } from "../../../packages/kubernetes/test/leaseLock.ts"
import { adminOf, TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"
import { candidateRule } from "../src/ApiServer.ts"
import { grant } from "../src/Roles.ts"

const lease = "only-this"

const realCluster = Layer.effect(
  TestCluster,
  Effect.gen(function* () {
    const plane = yield* ControlPlane
    yield* grant(lease, [candidateRule(lease)], ["limited"])
    const kubeconfig = plane.kubeconfig("admin")
    return { kubeconfig, admin: adminOf(kubeconfig), restricted: { kubeconfig: plane.kubeconfig("limited"), lease } }
  })
).pipe(Layer.provide(ControlPlane.layer))

leaseLockTests("a real API server", realCluster)
