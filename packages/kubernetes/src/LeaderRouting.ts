/**
 * Traffic of a Service reaches the leader only. Three ways to do it, each a layer that works in every term of an election:
 *
 * | layer | what the leader writes | needs |
 * |---|---|---|
 * | `layerServiceSelector` | the Service's selector: its own pod | a Service of its own for the leader |
 * | `layerPodLabel` | a label on its own pod | a Service that selects that label too |
 * | `layerEndpointSlice` | an EndpointSlice with its own address | a Service without a selector |
 *
 * Every write carries the term's token and compares with the version that was read, so that a stale leader cannot take the
 * traffic back. When a term ends, the leader takes its traffic away before the lock is given back; what others change while
 * it leads is put right. A leader that cannot route stays leader: that is logged, shown by the metric
 * `leader_election_routed`, and tried again. docs/routing.md has all of it, and what it does not promise.
 *
 * ```ts
 * import { LeaderElection } from "@effect-leader/core"
 * import { Identity, KubernetesClient, KubernetesLock, LeaderRouting } from "@effect-leader/kubernetes"
 * import { Effect, Layer } from "effect"
 *
 * export const program = LeaderRouting.layerServiceSelector({ service: "reports" }).pipe(
 *   Layer.provide(LeaderElection.layerConfig()),
 *   Layer.provide(KubernetesLock.layerLease({ name: "reports" })),
 *   Layer.provide(Identity.layer),
 *   Layer.provide(KubernetesClient.layer),
 *   Layer.launch
 * )
 * ```
 *
 * @since 0.1.0
 */
import { LeaderElection } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { isIP } from "node:net"
import { Identity } from "./Identity.ts"
import * as LeaderSlice from "./internal/LeaderSlice.ts"
import * as PatientClient from "./internal/PatientClient.ts"
import * as PodLabel from "./internal/PodLabel.ts"
import * as Route from "./internal/Route.ts"
import * as ServiceSelector from "./internal/ServiceSelector.ts"
import { KubernetesClient } from "./KubernetesClient.ts"

/**
 * What was asked for cannot work, whatever the cluster says: a name or label that Kubernetes does not allow, or a process
 * that is no pod or knows no address.
 *
 * @since 0.1.0
 */
export class InvalidRouting extends Schema.TaggedError<InvalidRouting>()("InvalidRouting", {
  violations: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `the leader's traffic cannot be routed like this: ${this.violations.join("; ")}`
  }
}

/**
 * The election whose leader gets the traffic, where it is another than `LeaderElection.LeaderElection`.
 *
 * @since 0.1.0
 */
export interface OfElection<Self> {
  readonly election: LeaderElection.ServiceClass<Self, string>
}

/**
 * @since 0.1.0
 */
export interface ServiceSelectorOptions {
  /** The Service's name, in the pod's own namespace. */
  readonly service: string
  /** The label whose value on each candidate's pod is the pod's name. Default: `pod`. */
  readonly label?: string
}

type Routing<Self> = Layer.Layer<never, InvalidRouting, Self | KubernetesClient | Identity>

/**
 * The leader makes the Service's selector choose its own pod: the keys that are there stay, and `label` is added with the
 * pod's name. Each candidate puts that label on its own pod when it starts. At the end of a term the selector names
 * `nobody.effect-leader.dev`: put that into the manifest too, so that applying it never sends traffic to a follower.
 *
 * A label's value has at most 63 characters: a pod with a longer name (none that a Deployment or StatefulSet makes) is
 * refused.
 *
 * RBAC, in the pod's namespace:
 *
 * - `services`, by `resourceNames: [SERVICE]`: get, update, watch
 * - `pods` (their names are not known beforehand, except those of a StatefulSet): get, update
 *
 * @since 0.1.0
 */
export function layerServiceSelector(options: ServiceSelectorOptions): Routing<LeaderElection.LeaderElection>
/**
 * @since 0.1.0
 */
export function layerServiceSelector<Self>(options: ServiceSelectorOptions & OfElection<Self>): Routing<Self>
export function layerServiceSelector<Self>(
  options: ServiceSelectorOptions & Partial<OfElection<Self>>
): Routing<Self | LeaderElection.LeaderElection> {
  const { label = "pod", service } = options
  return routing(options, ({ client, pod }) =>
    checked(
      [
        mustBePod(pod),
        mustBeLabelKey(label, 63),
        mustBeServiceName(service),
        mustBeLabelValue("the pod's name", pod.name)
      ],
      () => ServiceSelector.make({ client, pod, service, label })
    )
  )
}

/**
 * @since 0.1.0
 */
export interface PodLabelOptions {
  /** The label that the leader's pod has, and no other candidate's. Default: `effect-leader.dev/role`. */
  readonly label?: string
  /** Its value. Default: `leader`. */
  readonly value?: string
}

/**
 * The leader labels its own pod, and takes the label from every other candidate's; the Service selects it, besides what the
 * pods have in common, in its manifest. A candidate that starts takes off a label that a former process left on its pod.
 *
 * Two annotations beside the label, `LABEL-lock` and `LABEL-token`, say which term wrote it, and the label
 * `effect-leader.dev/candidate` makes a candidate's pod be found. Pods that are not of this election are left alone.
 *
 * RBAC, in the pod's namespace: `pods`: get, list, update, watch
 *
 * @since 0.1.0
 */
export function layerPodLabel(options?: PodLabelOptions): Routing<LeaderElection.LeaderElection>
/**
 * @since 0.1.0
 */
export function layerPodLabel<Self>(options: PodLabelOptions & OfElection<Self>): Routing<Self>
export function layerPodLabel<Self>(
  options: PodLabelOptions & Partial<OfElection<Self>> = {}
): Routing<Self | LeaderElection.LeaderElection> {
  const { label = "effect-leader.dev/role", value = "leader" } = options
  return routing(options, ({ client, lock, pod }) =>
    checked(
      // Annotations beside it have longer names.
      [mustBePod(pod), mustBeLabelKey(label, 63 - "-token".length), mustBeLabelValue("the label's value", value)],
      () => PodLabel.make({ client, pod, lock, label, value })
    )
  )
}

/**
 * A port of the Service, as it is served by the pod.
 *
 * @since 0.1.0
 */
export interface Port {
  /** As in the Service; a Service with one port need not name it. */
  readonly name?: string
  /** Where the pod listens: the Service's `targetPort`. */
  readonly port: number
  /** Default: TCP. */
  readonly protocol?: "TCP" | "UDP" | "SCTP"
}

/**
 * @since 0.1.0
 */
export interface EndpointSliceOptions {
  /** The name of a Service without a selector, in the pod's own namespace. */
  readonly service: string
  readonly ports: ReadonlyArray<Port>
}

/**
 * The leader writes the EndpointSlice `SERVICE-leader`, with its own address (`Identity.address`: POD_IP) as the only
 * endpoint, and none at the end of a term. The Service must have no selector, else the cluster adds all its pods.
 *
 * Kubernetes does not look at the pod for such an endpoint: it counts as ready as long as the leader leads.
 *
 * RBAC, in the pod's namespace:
 *
 * - `endpointslices` of `discovery.k8s.io`, by `resourceNames: [SERVICE-leader]`: get, update, watch
 * - `endpointslices` of `discovery.k8s.io`: create, which cannot be restricted to a name. Not needed if the manifest
 *   brings the EndpointSlice
 *
 * @since 0.1.0
 */
export function layerEndpointSlice(options: EndpointSliceOptions): Routing<LeaderElection.LeaderElection>
/**
 * @since 0.1.0
 */
export function layerEndpointSlice<Self>(options: EndpointSliceOptions & OfElection<Self>): Routing<Self>
export function layerEndpointSlice<Self>(
  options: EndpointSliceOptions & Partial<OfElection<Self>>
): Routing<Self | LeaderElection.LeaderElection> {
  const { ports, service } = options
  return routing(options, ({ pod }) => {
    const { address = "" } = pod
    return checked([mustBeServiceName(service), mustBeAddress(address), ...mustBePorts(ports)], () =>
      LeaderSlice.make({ pod, address, service, ports, keys: ServiceSelector.keys })
    )
  })
}

interface Surroundings {
  readonly client: KubernetesClient["Service"]
  readonly pod: Identity["Service"]
  readonly lock: string
}

const routing = <Self>(
  options: Partial<OfElection<Self>>,
  makeRoute: (surroundings: Surroundings) => Effect.Effect<Route.Route, InvalidRouting>
): Routing<Self | LeaderElection.LeaderElection> =>
  options.election === undefined
    ? routingOf(LeaderElection.LeaderElection, makeRoute)
    : routingOf(options.election, makeRoute)

const routingOf = <Self>(
  service: LeaderElection.ServiceClass<Self, string>,
  makeRoute: (surroundings: Surroundings) => Effect.Effect<Route.Route, InvalidRouting>
): Routing<Self> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const election = yield* service
      const client = PatientClient.make(yield* KubernetesClient)
      const route = yield* makeRoute({ client, pod: yield* Identity, lock: election.name })
      yield* Route.run({ client, election, route, Term: service.Term }).pipe(
        Effect.annotateLogs({ election: election.name, identity: election.identity }),
        Effect.forkScoped
      )
    })
  )

const checked = (
  violations: ReadonlyArray<string | undefined>,
  make: () => Route.Route
): Effect.Effect<Route.Route, InvalidRouting> => {
  const found = violations.filter((violation) => violation !== undefined)
  return found.length === 0 ? Effect.sync(make) : Effect.fail(new InvalidRouting({ violations: found }))
}

const mustBePod = ({ isPod, name }: Identity["Service"]): string | undefined =>
  isPod
    ? undefined
    : `this process is no pod (it calls itself ${JSON.stringify(name)}): run it in one, or set POD_NAME, or use ` +
      `layerEndpointSlice with POD_IP`

const qualified = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$/

const mustBeLabelKey = (key: string, longest: number): string | undefined => {
  const [name = "", prefix, ...more] = key.split("/").toReversed()
  const isPrefix = prefix === undefined || (prefix.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(prefix))
  return more.length === 0 && isPrefix && name.length <= longest && qualified.test(name)
    ? undefined
    : `label ${JSON.stringify(key)} must be a name of at most ${longest} letters, digits, '-', '_' and '.', with a letter ` +
        `or digit first and last, and before it perhaps a DNS domain and '/'`
}

const mustBeLabelValue = (what: string, value: string): string | undefined =>
  value.length <= 63 && qualified.test(value)
    ? undefined
    : `${what} ${JSON.stringify(value)} (${value.length} characters) cannot be a label's value: at most 63 letters, digits, ` +
      `'-', '_' and '.', with a letter or digit first and last`

const mustBeServiceName = (name: string): string | undefined =>
  name.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)
    ? undefined
    : `service ${JSON.stringify(name)} must be at most 63 lower-case letters, digits and '-', with a letter or digit ` +
      `first and last`

const mustBeAddress = (address: string): string | undefined =>
  isIP(address) > 0
    ? undefined
    : address === ""
      ? "the address of this pod is not known: set POD_IP from status.podIP"
      : `the address of this pod, ${JSON.stringify(address)}, must be an IP address (POD_IP from status.podIP)`

const mustBePorts = (ports: ReadonlyArray<Port>): ReadonlyArray<string | undefined> => [
  ports.length > 0 ? undefined : "ports must name at least one",
  ...ports.map(({ port }) =>
    Number.isInteger(port) && port >= 1 && port <= 65_535 ? undefined : `port ${port} must be 1 to 65535`
  ),
  new Set(ports.map(({ name = "" }) => name)).size === ports.length
    ? undefined
    : `the names of several ports must differ (${ports.map(({ name = "" }) => JSON.stringify(name)).join(", ")})`
]
