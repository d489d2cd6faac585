/**
 * What a program may do in its cluster, and no more: the rules for each part of this package, and the Role and RoleBinding
 * that they make, as values and as YAML.
 *
 * ```ts
 * import { Rbac } from "@effect-leader/kubernetes"
 *
 * export const manifests = Rbac.manifests({
 *   name: "reports",
 *   rules: [Rbac.forLease("reports"), Rbac.forServiceSelector("reports"), Rbac.forEvents()]
 * })
 *
 * console.log(Rbac.toYaml(manifests))
 * ```
 *
 * A Role is of one namespace. All rules are for the namespace of the pods; a lock that lives in another one, or an Event
 * on it, needs a second Role there.
 *
 * @since 0.1.0
 */
import { nameOf } from "./internal/LeaderSlice.ts"
import type { LockKind } from "./internal/LockTypes.ts"
import * as RoleRules from "./internal/RoleRules.ts"
import * as RoleYaml from "./internal/RoleYaml.ts"

export type { LockKind } from "./internal/LockTypes.ts"

/**
 * A rule of a Role. With `resourceNames` it holds for these objects only. What a program does beside this package it
 * writes in the same form.
 *
 * @since 0.1.0
 */
export interface Rule {
  readonly apiGroups: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly resourceNames?: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<Verb>
}

/**
 * @since 0.1.0
 */
export type Verb = "get" | "list" | "watch" | "update" | "patch" | "create" | "delete"

/**
 * What one part of a program needs.
 *
 * @since 0.1.0
 */
export type Rules = ReadonlyArray<Rule>

const coordination = "coordination.k8s.io"
const discovery = "discovery.k8s.io"

/**
 * `KubernetesLock.layerLease`. The Lease is made by PUT, so that the rule can name it.
 *
 * @since 0.1.0
 */
export const forLease = (name: string): Rules => [
  named(coordination, "leases", name, ["get", "watch", "update", "create"])
]

/**
 * `KubernetesLock.layerConfigMap`. A ConfigMap cannot be made by PUT, and a POST has no name: the second rule allows to
 * make any ConfigMap, though not to read or change one. It is not needed if the manifests bring the ConfigMap.
 *
 * @since 0.1.0
 */
export const forConfigMap = (name: string): Rules => [
  named("", "configmaps", name, ["get", "watch", "update"]),
  { apiGroups: [""], resources: ["configmaps"], verbs: ["create"] }
]

/**
 * `KubernetesLock.layerEndpoints`.
 *
 * @since 0.1.0
 */
export const forEndpoints = (name: string): Rules => [
  named("", "endpoints", name, ["get", "watch", "update", "create"])
]

/**
 * The lock that is an object of this kind, for a program that is told the kind. A multi lock needs the rules of both of
 * its kinds.
 *
 * @since 0.1.0
 */
export const forLock = (kind: LockKind, name: string): Rules => {
  switch (kind) {
    case "Lease":
      return forLease(name)
    case "ConfigMap":
      return forConfigMap(name)
    case "Endpoints":
      return forEndpoints(name)
  }
}

/**
 * `LeaderRouting.layerServiceSelector`. The rule for pods names none, since nobody knows the names of a Deployment's pods
 * beforehand: each candidate labels its own.
 *
 * @since 0.1.0
 */
export const forServiceSelector = (service: string): Rules => [
  named("", "services", service, ["get", "watch", "update"]),
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "update"] }
]

/**
 * `LeaderRouting.layerPodLabel`.
 *
 * @since 0.1.0
 */
export const forPodLabel = (): Rules => [
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch", "update"] }
]

/**
 * `LeaderRouting.layerEndpointSlice`. An EndpointSlice cannot be made by PUT, and a POST has no name: the second rule
 * allows to make any. It is not needed if the manifests bring the EndpointSlice.
 *
 * @since 0.1.0
 */
export const forEndpointSlice = (service: string): Rules => [
  named(discovery, "endpointslices", nameOf(service), ["get", "watch", "update"]),
  { apiGroups: [discovery], resources: ["endpointslices"], verbs: ["create"] }
]

/**
 * `LeaderEvents.layer`, together with the lock's rules.
 *
 * @since 0.1.0
 */
export const forEvents = (): Rules => [{ apiGroups: [""], resources: ["events"], verbs: ["create"] }]

const named = (group: string, resource: string, name: string, verbs: ReadonlyArray<Verb>): Rule => ({
  apiGroups: [group],
  resources: [resource],
  resourceNames: [name],
  verbs
})

/**
 * @since 0.1.0
 */
export interface Options {
  /** Of Role and RoleBinding, and of the ServiceAccount unless `serviceAccount` names another one. */
  readonly name: string
  /** Left out, whoever applies the manifests chooses it: `kubectl apply --namespace`, or kustomize. */
  readonly namespace?: string
  /** A ServiceAccount that exists, which is then not among the manifests. */
  readonly serviceAccount?: string
  /** One for each part of the program, in any order. */
  readonly rules: ReadonlyArray<Rules>
}

/**
 * @since 0.1.0
 */
export interface ServiceAccount extends Manifest<"v1", "ServiceAccount"> {}

/**
 * @since 0.1.0
 */
export interface Role extends Manifest<"rbac.authorization.k8s.io/v1", "Role"> {
  readonly rules: Rules
}

/**
 * @since 0.1.0
 */
export interface RoleBinding extends Manifest<"rbac.authorization.k8s.io/v1", "RoleBinding"> {
  readonly roleRef: { readonly apiGroup: "rbac.authorization.k8s.io"; readonly kind: "Role"; readonly name: string }
  readonly subjects: ReadonlyArray<{
    readonly kind: "ServiceAccount"
    readonly name: string
    readonly namespace?: string
  }>
}

interface Manifest<ApiVersion extends string, Kind extends string> {
  readonly apiVersion: ApiVersion
  readonly kind: Kind
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

/**
 * The Role with these rules, bound to the ServiceAccount. Rules that say the same of several objects, or several things of
 * the same object, are one; the order does not depend on that of `rules`.
 *
 * @since 0.1.0
 */
export const manifests = (options: Options): ReadonlyArray<ServiceAccount | Role | RoleBinding> => {
  const { name, namespace, rules, serviceAccount } = options
  const place = namespace === undefined ? {} : { namespace }
  const metadata = { name, ...place }
  const account: ReadonlyArray<ServiceAccount> =
    serviceAccount === undefined ? [{ apiVersion: "v1", kind: "ServiceAccount", metadata }] : []
  return [
    ...account,
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules: RoleRules.merge(rules.flat()) },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name: serviceAccount ?? name, ...place }]
    }
  ]
}

/**
 * The manifests as one YAML text that `kubectl apply -f` takes. It begins with a comment that says that it is generated,
 * or with the given one.
 *
 * @since 0.1.0
 */
export const toYaml = (manifests: ReadonlyArray<object>, comment: string = generated): string =>
  RoleYaml.make(manifests, comment)

const generated = "Generated by Rbac.toYaml of @effect-leader/kubernetes: what the program may do, and no more."
