/**
 * The pod that this process is: its name, namespace, uid, node and address, and where each was found. The downward API
 * says it best, and a pod without it still finds most of it in its service account:
 *
 * ```yaml
 * env:
 *   - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
 *   - { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
 *   - { name: POD_UID, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
 *   - { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
 *   - { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
 * ```
 *
 * A process outside a cluster has an identity too, of its host and process id.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hostname } from "node:os"
import * as PodIdentity from "./internal/PodIdentity.ts"
import { KubernetesClient } from "./KubernetesClient.ts"

/**
 * What is known of the pod.
 *
 * @since 0.1.0
 */
export interface Pod {
  readonly name: string
  readonly namespace: string
  readonly uid?: string
  /** The name of the node that it runs on. */
  readonly node?: string
  /** Its IP address. */
  readonly address?: string
}

/**
 * The pod that this process is.
 *
 * @since 0.1.0
 */
export class Identity extends Context.Service<
  Identity,
  Pod & {
    /** False for a process outside a cluster: no Pod object has this name. */
    readonly isPod: boolean
    /** Where each field was found, in words: `POD_NAME`, `the token of the service account`. */
    readonly sources: { readonly [Field in keyof Pod]: string }
  }
>()("@effect-leader/kubernetes/Identity") {}

/**
 * From the environment: POD_NAME, POD_NAMESPACE, POD_UID, NODE_NAME and POD_IP; then the service account's files, whose
 * token names pod and node; then, for the name, HOSTNAME or the host's name, outside a cluster with the process id; for
 * the namespace the client's default one.
 *
 * A pod with `hostNetwork`, or with a `hostname` of its own, has to be given POD_NAME: its HOSTNAME is not its name.
 *
 * @since 0.1.0
 */
export const layer: Layer.Layer<Identity, Config.ConfigError, KubernetesClient> = Layer.effect(
  Identity,
  Effect.gen(function* () {
    const { namespace } = yield* KubernetesClient
    return Identity.of(
      yield* PodIdentity.find({
        serviceAccount: "/var/run/secrets/kubernetes.io/serviceaccount",
        host: hostname(),
        process: process.pid,
        namespace
      })
    )
  })
)

/**
 * This very pod, for tests and for programs that know it in another way.
 *
 * @since 0.1.0
 */
export const layerOf = (pod: Pod): Layer.Layer<Identity> =>
  Layer.succeed(Identity, Identity.of({ ...pod, isPod: true, sources: PodIdentity.given(pod) }))

/**
 * Lets `LeaderElection.layerConfig()` take from the pod what the environment does not say: IDENTITY is the pod's name,
 * and ADDRESS its IP address with the port, where both are known. The port is the given one, else that of PORT.
 *
 * ```ts
 * import { LeaderElection } from "@effect-leader/core"
 * import { Identity, KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
 * import { Layer } from "effect"
 *
 * export const Election = LeaderElection.layerConfig().pipe(
 *   Layer.provide(KubernetesLock.layerLease({ name: "reports" })),
 *   Layer.provide(Identity.layerElectionConfig()),
 *   Layer.provideMerge(Identity.layer),
 *   Layer.provideMerge(KubernetesClient.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
export const layerElectionConfig = (options?: {
  /** Where this program serves. */
  readonly port?: number
}): Layer.Layer<never, Config.ConfigError, Identity> =>
  ConfigProvider.layerAdd(
    Effect.gen(function* () {
      const pod = yield* Identity
      const port = options?.port ?? Option.getOrUndefined(yield* Config.option(Config.Port("PORT")))
      return ConfigProvider.fromUnknown({
        IDENTITY: pod.name,
        ...(pod.address === undefined || port === undefined ? {} : { ADDRESS: hostAndPort(pod.address, port) })
      })
    })
  )

const hostAndPort = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
