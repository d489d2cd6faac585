/**
 * The cluster's own record of who led when: a Kubernetes Event for each beginning and end of leadership, on the object that
 * is the lock and on the pod, so that `kubectl describe lease reports`, `kubectl describe pod` and
 * `kubectl get events --field-selector reason=LeaderElection` tell it.
 *
 * | when | type | message |
 * |---|---|---|
 * | a term began | Normal | `reports-0 became leader (token 4711)` |
 * | a term ended, and its work with it | Normal for `Resigned` and `Shutdown`, else Warning | `reports-0 stopped leading (token 4711): Expired, ...` |
 * | work outlived its lease | Warning | `reports-0 has work that outlived its lease (token 4711): ...` |
 *
 * Reason and first words are those of client-go. An Event is news, and no part of the election: it is written beside it,
 * with a timeout for each request, and what cannot be written in two minutes of trying is dropped.
 *
 * ```ts
 * import { LeaderElection } from "@effect-leader/core"
 * import { Identity, KubernetesClient, KubernetesLock, LeaderEvents } from "@effect-leader/kubernetes"
 * import { Effect, Layer } from "effect"
 *
 * const Jobs = Layer.effectDiscard(Effect.log("leading"))
 *
 * export const Main = Layer.mergeAll(LeaderElection.layerWhileLeading(Jobs), LeaderEvents.layer()).pipe(
 *   Layer.provide(LeaderElection.layerConfig()),
 *   Layer.provide(KubernetesLock.layerLease({ name: "reports" })),
 *   Layer.provide(Identity.layer),
 *   Layer.provide(KubernetesClient.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import { LeaderElection } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Identity } from "./Identity.ts"
import * as EventRecorder from "./internal/EventRecorder.ts"
import type { LockKind } from "./internal/LockTypes.ts"
import { KubernetesClient } from "./KubernetesClient.ts"

export type { LockKind } from "./internal/LockTypes.ts"

/**
 * @since 0.1.0
 */
export interface Options {
  /** Which program says so: the Event's `source.component`, as `kubectl describe` shows it. Default: `effect-leader`. */
  readonly component?: string
  /** The kinds of objects that the lock is, if it is no Lease; of a multi lock both. */
  readonly lock?: ReadonlyArray<LockKind>
}

/**
 * The election that is told about, where it is another than `LeaderElection.LeaderElection`.
 *
 * @since 0.1.0
 */
export interface OfElection<Self> {
  readonly election: LeaderElection.ServiceClass<Self, string>
}

type Events<Self> = Layer.Layer<never, never, Self | KubernetesClient | Identity>

/**
 * Writes the Events of the election. A process that is no pod writes those of the lock only.
 *
 * It needs `create` on `events` (`Rbac.forEvents()`) in the namespaces of lock and pod, and to read the lock, which the
 * election may do anyway. Where it may not, it says so once, and the election goes on.
 *
 * A program that ends while it leads has the last Event written after its lock was given back, before its process ends, in
 * one second or not at all. That takes the client's own connections: provide the same client as to the lock.
 *
 * @since 0.1.0
 */
export function layer(options?: Options): Events<LeaderElection.LeaderElection>
/**
 * @since 0.1.0
 */
export function layer<Self>(options: Options & OfElection<Self>): Events<Self>
export function layer<Self>(
  options: Options & Partial<OfElection<Self>> = {}
): Events<Self | LeaderElection.LeaderElection> {
  return options.election === undefined
    ? eventsOf(LeaderElection.LeaderElection, options)
    : eventsOf(options.election, options)
}

const eventsOf = <Self>(
  service: LeaderElection.ServiceClass<Self, string>,
  { component = "effect-leader", lock = ["Lease"] }: Options
): Events<Self> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const election = yield* service
      const client = yield* KubernetesClient
      const pod = yield* Identity
      yield* EventRecorder.run({ client, election, pod, component, kinds: lock }).pipe(
        Effect.annotateLogs({ election: election.name, identity: election.identity })
      )
    })
  )
