import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Identity, KubernetesClient, LeaderRouting } from "../src/index.ts"
import { startServer, until, writeKubeconfig } from "./EmbeddedLock.ts"
import { cluster } from "./RoutedCandidates.ts"

const pod = { name: "pod-a", namespace: "default", address: "10.0.0.1" }

const violations = (
  routing: Layer.Layer<
    never,
    LeaderRouting.InvalidRouting,
    LeaderElection.LeaderElection | KubernetesClient.KubernetesClient | Identity.Identity
  >,
  identity: Layer.Layer<Identity.Identity>
) =>
  Effect.gen(function* () {
    const kubeconfig = yield* writeKubeconfig(yield* startServer())
    const layer = routing.pipe(
      Layer.provide(LeaderElection.layer()),
      Layer.provide(LeaseLock.layerMemory()),
      Layer.provide(identity),
      Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig))
    )
    const error = yield* Effect.flip(Layer.build(layer))
    return error instanceof LeaderRouting.InvalidRouting ? error : assert.fail(String(error))
  })

const selector = (options: Partial<LeaderRouting.ServiceSelectorOptions> = {}) =>
  LeaderRouting.layerServiceSelector({ service: "reports", ...options })
const slice = (options: Partial<LeaderRouting.EndpointSliceOptions> = {}) =>
  LeaderRouting.layerEndpointSlice({ service: "reports", ports: [{ port: 80 }], ...options })

const processIdentity = Layer.succeed(
  Identity.Identity,
  Identity.Identity.of({ name: "laptop-17", namespace: "default", isPod: false, sources: { name: "", namespace: "" } })
)

describe("what cannot work fails the layer, and says why", () => {
  it.live.each<[string, ReturnType<typeof selector>, Layer.Layer<Identity.Identity>, RegExp]>([
    [
      "a pod's name that is no label's value",
      selector(),
      Identity.layerOf({ ...pod, name: "p".repeat(64) }),
      /the pod's name "p+" \(64 characters\) cannot be a label's value: at most 63/
    ],
    ["a label's name", selector({ label: "a b" }), Identity.layerOf(pod), /label "a b" must be a name/],
    ["a Service's name", selector({ service: "Reports" }), Identity.layerOf(pod), /service "Reports" must be/],
    ["a process that is no pod", selector(), processIdentity, /no pod \(it calls itself "laptop-17"\).*set POD_NAME/],
    [
      "a label whose annotations would be too long",
      LeaderRouting.layerPodLabel({ label: "x".repeat(58) }),
      Identity.layerOf(pod),
      /at most 57/
    ],
    ["a label's value", LeaderRouting.layerPodLabel({ value: "-" }), Identity.layerOf(pod), /the label's value "-"/],
    [
      "an address that is not known",
      slice(),
      Identity.layerOf({ name: "pod-a", namespace: "default" }),
      /address of this pod is not known: set POD_IP/
    ],
    ["an address that is none", slice(), Identity.layerOf({ ...pod, address: "pod-a.local" }), /must be an IP address/],
    ["no ports", slice({ ports: [] }), Identity.layerOf(pod), /ports must name at least one/],
    [
      "ports",
      slice({ ports: [{ port: 0 }, { port: 70_000 }] }),
      Identity.layerOf(pod),
      /port 0 must be .*; port 70000 must be .*; the names of several ports must differ/
    ]
  ])("%s", ([, routing, identity, words]) =>
    Effect.gen(function* () {
      const error = yield* violations(routing, identity)
      assert.match(error.message, words)
    })
  )
})

describe("another election", () => {
  it.live("its leader gets the traffic", () =>
    Effect.gen(function* () {
      class Reports extends LeaderElection.Service<Reports>()("test/Reports") {}
      const { object, server } = yield* cluster([])
      yield* server.setUsers({ token: { name: "admin", groups: ["system:masters"] } })
      const kubeconfig = yield* writeKubeconfig(server, "token")
      const layer: Layer.Layer<never, unknown> = Layer.mergeAll(
        LeaderRouting.layerPodLabel({ election: Reports }),
        LeaderRouting.layerServiceSelector({ election: Reports, service: "reports" }),
        LeaderRouting.layerEndpointSlice({ election: Reports, service: "reports", ports: [{ port: 80 }] })
      ).pipe(
        Layer.provide(Reports.layer()),
        Layer.provide(LeaseLock.layerMemory()),
        Layer.provide(Identity.layerOf(pod)),
        Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig))
      )
      yield* server.store.put("services", "default", { metadata: { name: "reports" }, spec: {} })
      yield* Layer.build(layer)
      yield* until(
        Effect.map(object("pods", "pod-a"), ({ metadata }) => metadata.labels?.["effect-leader.dev/role"] === "leader")
      )
      yield* until(
        Effect.map(object("services", "reports"), ({ spec }) => JSON.stringify(spec).includes(`"pod":"pod-a"`))
      )
    })
  )
})
