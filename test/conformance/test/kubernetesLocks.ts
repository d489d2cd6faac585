/**
 * The conformance suite over the locks of Kubernetes, on whichever API server. Each handle has a client of its own, as
 * another process has.
 */
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { LockConformance } from "@effect-leader/testkit"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"

const client = Layer.unwrap(Effect.map(TestCluster, ({ kubeconfig }) => KubernetesClient.layerKubeConfig(kubeconfig)))

const paths = {
  lease: "/apis/coordination.k8s.io/v1/namespaces/default/leases",
  configMap: "/api/v1/namespaces/default/configmaps",
  endpoints: "/api/v1/namespaces/default/endpoints"
}

interface Subject {
  readonly what: string
  readonly layer: (name: string) => ReturnType<typeof KubernetesLock.layerLease>
  /** Of the objects that the lock is made of. */
  readonly paths: ReadonlyArray<string>
  readonly isPair?: boolean
}

const subjects: ReadonlyArray<Subject> = [
  { what: "a Lease", layer: (name) => KubernetesLock.layerLease({ name }), paths: [paths.lease] },
  { what: "a ConfigMap", layer: (name) => KubernetesLock.layerConfigMap({ name }), paths: [paths.configMap] },
  { what: "Endpoints", layer: (name) => KubernetesLock.layerEndpoints({ name }), paths: [paths.endpoints] },
  {
    what: "a ConfigMap and a Lease",
    layer: (name) => KubernetesLock.layerMulti({ name, primary: "ConfigMap", secondary: "Lease" }),
    paths: [paths.configMap, paths.lease],
    isPair: true
  },
  {
    what: "Endpoints and a Lease",
    layer: (name) => KubernetesLock.layerMulti({ name, primary: "Endpoints", secondary: "Lease" }),
    paths: [paths.endpoints, paths.lease],
    isPair: true
  }
]

/**
 * A write of two objects cannot be whole when it is cut short. What half of one is to the others is told by the tests of
 * the pair itself.
 */
const notOfPairs = "a write that is interrupted happened or did not, and the lock can be used"

export const kubernetesLocks = <E>(server: string, cluster: Layer.Layer<TestCluster, E>): void => {
  for (const { isPair = false, layer, paths, what } of subjects) {
    const cases = LockConformance.cases({
      layer: (name) => layer(name).pipe(Layer.provide(client)),
      patience: "20 seconds",
      remove: (name) =>
        Effect.flatMap(TestCluster, ({ admin }) =>
          Effect.forEach(paths, (path) => admin.request("DELETE", `${path}/${name}`))
        )
    })
    it.layer(cluster, { excludeTestServices: true, timeout: "15 minutes" })(`${what} on ${server}`, (it) => {
      for (const { name, test } of cases) {
        if (!isPair || name !== notOfPairs) it.effect(name, () => test)
      }
    })
  }
}
