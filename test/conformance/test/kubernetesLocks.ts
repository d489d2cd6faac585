/**
 * The conformance suite over the locks of Kubernetes, on whichever API server. Each handle has a client of its own, as
 * another process has.
 */
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { LockConformance } from "@effect-leader/testkit"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { leasesOf, TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"

const client = Layer.unwrap(Effect.map(TestCluster, ({ kubeconfig }) => KubernetesClient.layerKubeConfig(kubeconfig)))

export const kubernetesLocks = <E>(server: string, cluster: Layer.Layer<TestCluster, E>): void => {
  const lease = LockConformance.cases({
    layer: (name) => KubernetesLock.layerLease({ name }).pipe(Layer.provide(client)),
    patience: "20 seconds",
    remove: (name) => Effect.flatMap(TestCluster, ({ admin }) => leasesOf(admin).delete(name))
  })
  it.layer(cluster, { excludeTestServices: true, timeout: "15 minutes" })(`a Lease on ${server}`, (it) => {
    for (const { name, test } of lease) it.effect(name, () => test)
  })
}
