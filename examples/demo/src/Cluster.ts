/**
 * What the replicas elect on: the embedded API server, in this process and over HTTPS, or the cluster of a kubeconfig.
 * Either way the demo sees it as the replicas do, through a kubeconfig file and a client.
 */
import { KubernetesClient } from "@effect-leader/kubernetes"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { Context, Effect, Layer, Option, Path } from "effect"
import { Watchdog } from "./Watchdog.ts"

export class Cluster extends Context.Service<
  Cluster,
  {
    /** Path of the kubeconfig. */
    readonly kubeconfig: string
  }
>()("effect-leader-demo/Cluster") {}

export const layer = (kubeconfig: Option.Option<string>) =>
  Layer.unwrap(Effect.map(Cluster, (cluster) => KubernetesClient.layerKubeConfig(cluster.kubeconfig))).pipe(
    Layer.provideMerge(Option.match(kubeconfig, { onNone: () => embedded, onSome: (file) => given(file) }))
  )

const embedded = Layer.effect(
  Cluster,
  Effect.gen(function* () {
    const server = yield* EmbeddedApiServer.EmbeddedApiServer
    const path = yield* Path.Path
    const kubeconfig = path.join((yield* Watchdog).folder, "kubeconfig")
    yield* server.writeKubeconfig(kubeconfig)
    return { kubeconfig }
  })
).pipe(Layer.provide(EmbeddedApiServer.layer({ tls: true })))

const given = (file: string) =>
  Layer.effect(
    Cluster,
    Effect.gen(function* () {
      const path = yield* Path.Path
      return { kubeconfig: path.resolve(file) }
    })
  )
