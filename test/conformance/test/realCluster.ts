/** A real etcd and kube-apiserver as a cluster to test on. */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { adminOf, TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"

export const realCluster = Layer.effect(
  TestCluster,
  Effect.map(ControlPlane, (plane) => ({
    kubeconfig: plane.kubeconfig("admin"),
    admin: adminOf(plane.kubeconfig("admin")),
    restricted: { kubeconfig: plane.kubeconfig("limited"), lease: "none" }
  }))
).pipe(Layer.provide(ControlPlane.layer))
