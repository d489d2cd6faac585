/**
 * Locks that are objects of a Kubernetes cluster. `layerLease` is one Lease, the object that client-go elects on as well:
 * candidates of both kinds may share it. `layerConfigMap` and `layerEndpoints` are what client-go used before, and
 * `layerMulti` is both at once, to move from those to a Lease without a moment of two leaders. `layerConfig` leaves the
 * choice to the environment. docs/locks.md compares them, and shows the move.
 *
 * Every write is a PUT with the uid and version that were read, so one of two writers loses, also across a deletion. The
 * first write never replaces anything. Fencing tokens are resource versions, which grow across deletion.
 *
 * @since 0.1.0
 */
import { LeaseLock } from "@effect-leader/core"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as AnnotatedObject from "./internal/AnnotatedObject.ts"
import { lease } from "./internal/LeaseObject.ts"
import * as LockConfig from "./internal/LockConfig.ts"
import type { RecordForm } from "./internal/LockObject.ts"
import * as MultiLock from "./internal/MultiLock.ts"
import * as ObjectLock from "./internal/ObjectLock.ts"
import { KubernetesClient } from "./KubernetesClient.ts"

/**
 * A name that no Kubernetes object can have.
 *
 * @since 0.1.0
 */
export class InvalidLockName extends Schema.TaggedError<InvalidLockName>()("InvalidLockName", {
  field: Schema.Literals(["name", "namespace"]),
  value: Schema.String,
  rule: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${JSON.stringify(this.value)} of a Kubernetes lock: ${this.rule}`
  }
}

/**
 * @since 0.1.0
 */
export interface Options {
  /** The object's name: an RFC 1123 subdomain. */
  readonly name: string
  /** Its namespace: an RFC 1123 label. The client's default namespace if not given. */
  readonly namespace?: string
}

/**
 * The lock that one Lease is. It needs, and needs no more than, this rule of a Role in its namespace:
 * `{apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [NAME], verbs: [get, watch, update, create]}`.
 *
 * @since 0.1.0
 */
export const layerLease = (options: Options): Layer.Layer<LeaseLock.LeaseLock, InvalidLockName, KubernetesClient> =>
  layerObject(lease, options)

/**
 * The lock that the annotation `control-plane.alpha.kubernetes.io/leader` of a ConfigMap is: what client-go called
 * `configmaps` until 2022. The ConfigMap may hold other things as well, which stay as they are. It needs, and needs no
 * more than, these rules of a Role in its namespace:
 * `{apiGroups: [""], resources: [configmaps], resourceNames: [NAME], verbs: [get, watch, update]}` and
 * `{apiGroups: [""], resources: [configmaps], verbs: [create]}`. A ConfigMap can be made by POST only, which no rule with a
 * name allows. Where it exists already the second rule is not needed.
 *
 * @since 0.1.0
 */
export const layerConfigMap = (options: Options): Layer.Layer<LeaseLock.LeaseLock, InvalidLockName, KubernetesClient> =>
  layerObject(AnnotatedObject.configMap, options)

/**
 * The lock that the annotation `control-plane.alpha.kubernetes.io/leader` of an Endpoints object is: what client-go called
 * `endpoints` until 2022. It needs, and needs no more than, this rule of a Role in its namespace:
 * `{apiGroups: [""], resources: [endpoints], resourceNames: [NAME], verbs: [get, watch, update, create]}`.
 *
 * Choose a name that no Service has: the endpoints of a Service belong to a controller of the cluster.
 *
 * @since 0.1.0
 */
export const layerEndpoints = (options: Options): Layer.Layer<LeaseLock.LeaseLock, InvalidLockName, KubernetesClient> =>
  layerObject(AnnotatedObject.endpoints, options)

/**
 * @since 0.1.0
 */
export interface MultiOptions extends Options {
  /** The older kind, which candidates that have not moved yet elect on. */
  readonly primary: "ConfigMap" | "Endpoints"
  /** The newer kind, which those elect on that have moved. */
  readonly secondary: "Lease"
}

/**
 * Two objects of one name, held together: who holds both leads. It is the step between the older kind and the newer one,
 * and compatible with client-go's `configmapsleases` and `endpointsleases`. A candidate of the older kind and one of the
 * pair exclude each other, and so do one of the pair and one of the newer kind. The older and the newer kind alone do not,
 * so all candidates have to be of the pair before the first is of the newer kind.
 *
 * ```ts
 * import { KubernetesLock } from "@effect-leader/kubernetes"
 *
 * export const before = KubernetesLock.layerConfigMap({ name: "reports" })
 * export const meanwhile = KubernetesLock.layerMulti({ name: "reports", primary: "ConfigMap", secondary: "Lease" })
 * export const after = KubernetesLock.layerLease({ name: "reports" })
 * ```
 *
 * A renewal is two PUTs, the primary's first. Tokens grow through the whole move, since all kinds share one count of
 * versions; where `--etcd-servers-overrides` splits it, nobody leads, and the error says so. It needs the rules of both
 * objects.
 *
 * @since 0.1.0
 */
export const layerMulti = (
  options: MultiOptions
): Layer.Layer<LeaseLock.LeaseLock, InvalidLockName, KubernetesClient> =>
  Layer.effect(
    LeaseLock.LeaseLock,
    Effect.map(place(options), (at) => {
      const [primary, secondary] = [forms[options.primary], forms[options.secondary]]
      return MultiLock.make({
        name: `${at.namespace}/${at.name}`,
        primary: ObjectLock.make(primary, at),
        secondary: ObjectLock.make(secondary, at),
        kinds: { primary: primary.type.plural, secondary: secondary.type.plural }
      })
    })
  )

const forms = {
  ConfigMap: AnnotatedObject.configMap,
  Endpoints: AnnotatedObject.endpoints,
  Lease: lease
} satisfies { readonly [kind: string]: RecordForm }

/**
 * What `layerConfig` can be told: one object, or the pair that is the step from the older kind to a Lease.
 *
 * @since 0.1.0
 */
export type Kind = LockConfig.Kind

/**
 * What the environment does not say.
 *
 * @since 0.1.0
 */
export interface Defaults extends Partial<Options> {
  /** Default `lease`. */
  readonly kind?: Kind
}

/**
 * The lock that the environment chooses, or these defaults where it says nothing:
 *
 * - LOCK_KIND: `lease` (the default), `configmap`, `endpoints`, or the pair `configmapsleases` or `endpointsleases`. The
 *   names of client-go's resource locks, as `leases` and `configmaps`, mean the same.
 * - LOCK_NAME: has to be set if there is no default.
 * - LOCK_NAMESPACE: the client's default namespace if not set.
 *
 * ```ts
 * import { KubernetesLock } from "@effect-leader/kubernetes"
 *
 * export const lock = KubernetesLock.layerConfig({ name: "reports" })
 * ```
 *
 * It needs the rules of the chosen kind.
 *
 * @since 0.1.0
 */
export const layerConfig = (
  defaults: Defaults = {}
): Layer.Layer<LeaseLock.LeaseLock, InvalidLockName | Config.ConfigError, KubernetesClient> =>
  Layer.unwrap(Effect.map(LockConfig.choice(defaults), layerChosen))

const layerChosen = ({ kind, name, namespace }: LockConfig.Choice) => {
  const options = { name, ...(namespace === undefined ? {} : { namespace }) }
  switch (kind) {
    case "lease":
      return layerLease(options)
    case "configmap":
      return layerConfigMap(options)
    case "endpoints":
      return layerEndpoints(options)
    case "configmapsleases":
      return layerMulti({ ...options, primary: "ConfigMap", secondary: "Lease" })
    case "endpointsleases":
      return layerMulti({ ...options, primary: "Endpoints", secondary: "Lease" })
  }
}

const layerObject = (form: RecordForm, options: Options) =>
  Layer.effect(
    LeaseLock.LeaseLock,
    Effect.map(place(options), (at) => ObjectLock.make(form, at))
  )

const place = Effect.fnUntraced(function* (options: Options) {
  const client = yield* KubernetesClient
  const name = yield* checkName("name", options.name, subdomain)
  const namespace = yield* checkName("namespace", options.namespace ?? client.namespace, label)
  return { client, name, namespace }
})

// As the API server itself checks them.
const subdomain = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  longest: 253,
  rule:
    "must be an RFC 1123 subdomain: at most 253 lower-case letters, digits, '-' and '.', " +
    "with a letter or digit first, last and beside every '.'"
}
const label = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  longest: 63,
  rule: "must be an RFC 1123 label: at most 63 lower-case letters, digits and '-', with a letter or digit first and last"
}

const checkName = (
  field: InvalidLockName["field"],
  value: string,
  { longest, pattern, rule }: typeof subdomain
): Effect.Effect<string, InvalidLockName> =>
  value.length <= longest && pattern.test(value)
    ? Effect.succeed(value)
    : Effect.fail(new InvalidLockName({ field, value, rule }))
