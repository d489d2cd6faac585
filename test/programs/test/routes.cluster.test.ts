/**
 * The routes that no example takes, on the whole cluster, under the Role that `Rbac` makes for them: an EndpointSlice of
 * one's own beside Kubernetes' controller of EndpointSlices, and a label on the own pod.
 */
import { LeaderElection } from "@effect-leader/core"
import {
  Identity,
  KubernetesClient,
  KubernetesLock,
  LeaderEvents,
  LeaderRouting,
  Rbac
} from "@effect-leader/kubernetes"
import { Cluster } from "@effect-leader/test-cluster/Cluster"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { until } from "../src/OnCluster.ts"

const name = "reports"

const rules: Rbac.Rules = [
  ...Rbac.forLease(name),
  ...Rbac.forEndpointSlice(name),
  ...Rbac.forPodLabel(),
  ...Rbac.forEvents()
]

/** Pods that nobody schedules: the candidates are in the process of the test. */
const podOf = (pod: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: pod, labels: { app: name } },
  spec: { schedulerName: "nobody", containers: [{ name: "main", image: "none" }] }
})

const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  // No selector: the cluster's own controller leaves its EndpointSlices alone.
  spec: { ports: [{ port: 80 }] }
}

const Pod = Schema.fromJsonString(Schema.Struct({ metadata: Schema.Struct({ uid: Schema.String }) }))
const Kubeconfig = Schema.fromJsonString(
  Schema.StructWithRest(Schema.Struct({ users: Schema.Unknown, contexts: Schema.Unknown }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ])
)

/** Of the service account of that name, instead of the administrator's. */
const kubeconfigOf = Effect.fnUntraced(function* (account: string) {
  const { kubectl, kubeconfig } = yield* Cluster
  const fs = yield* FileSystem.FileSystem
  const token = (yield* kubectl(["create", "token", account])).trim()
  const admin = yield* Schema.decodeEffect(Kubeconfig)(yield* fs.readFileString(kubeconfig))
  const file = `${yield* fs.makeTempDirectoryScoped()}/kubeconfig`
  const own = {
    ...admin,
    "current-context": account,
    users: [{ name: account, user: { token } }],
    contexts: [{ name: account, context: { cluster: "test", user: account } }]
  }
  yield* fs.writeFileString(file, JSON.stringify(own))
  return file
})

const both = Layer.provideMerge(Cluster.layer(), NodeServices.layer)

it.layer(both, { excludeTestServices: true, timeout: "15 minutes" })("routes under their own Role", (it) => {
  it.effect("an EndpointSlice of its own and a label follow the leader, and Events tell of it", () =>
    Effect.gen(function* () {
      const { endpoints, kubectl } = yield* Cluster
      const logs: Array<string> = []
      const ear = Logger.make<unknown, void>(
        ({ logLevel, message }) => void logs.push(`${logLevel} ${String(message)}`)
      )
      const apply = (text: string) => kubectl(["apply", "--filename=-"], text)
      yield* apply(Rbac.toYaml(Rbac.manifests({ name, rules: [rules] })))
      yield* apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: [service, podOf("a"), podOf("b")] }))
      const kubeconfig = yield* kubeconfigOf(name)

      const start = Effect.fnUntraced(function* (pod: string, address: string) {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const { metadata } = yield* Schema.decodeEffect(Pod)(yield* kubectl(["get", "pod", pod, "--output=json"]))
        const context = yield* Layer.mergeAll(
          LeaderRouting.layerEndpointSlice({ service: name, ports: [{ port: 8080 }] }),
          LeaderRouting.layerPodLabel(),
          LeaderEvents.layer()
        ).pipe(
          Layer.provideMerge(LeaderElection.layer({ identity: pod, retryPeriod: "200 millis" })),
          Layer.provide(KubernetesLock.layerLease({ name })),
          Layer.provide(Identity.layerOf({ name: pod, namespace: "default", uid: metadata.uid, address })),
          Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig)),
          Layer.provide(Logger.layer([ear])),
          Layer.fresh,
          Layer.buildWithScope(scope)
        )
        return {
          election: Context.get(context, LeaderElection.LeaderElection),
          close: Scope.close(scope, Exit.void)
        }
      })
      const routed = Effect.map(endpoints(name), (found) => found.map(({ host, port }) => `${host}:${port}`).join())
      const labelled = kubectl(["get", "pods", "--selector=effect-leader.dev/role=leader", "--output=name"])

      const a = yield* start("a", "10.0.0.1")
      yield* until(routed, (now) => now === "10.0.0.1:8080")
      yield* until(labelled, (now) => now.trim() === "pod/a")
      const b = yield* start("b", "10.0.0.2")
      yield* a.close
      yield* until(routed, (now) => now === "10.0.0.2:8080")
      yield* until(labelled, (now) => now.trim() === "pod/b")
      yield* b.close
      yield* until(routed, (now) => now === "")
      yield* until(labelled, (now) => now.trim() === "")

      const events = kubectl([
        "get",
        "events",
        "--field-selector=reason=LeaderElection",
        '--output=jsonpath={range .items[*]}{.involvedObject.kind}: {.message}{"\\n"}{end}'
      ]).pipe(Effect.map((text) => text.trim().split("\n")))
      const told = yield* until(events, ({ length }) => length >= 8)
      assert.sameMembers(
        told.map((line) => line.replace(/^(\w+: \w+ \w+ \w+).*/, "$1")),
        ["Lease", "Pod"].flatMap((kind) =>
          ["a", "b"].flatMap((pod) => [`${kind}: ${pod} became leader`, `${kind}: ${pod} stopped leading`])
        )
      )
      assert.deepStrictEqual(
        logs.filter((line) => /warn|error|forbidden/i.test(line)),
        []
      )
    })
  )
})
