/**
 * A Kubernetes API server under a test of processes, whichever it is: the embedded one or a real kube-apiserver. It has
 * three plain users, so that every replica has one of its own and the server's log tells their requests apart.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** They may do nothing until `allow` says so. */
export const users = ["limited", "peer", "stranger"] as const
export type User = (typeof users)[number]

/** The namespace of all Leases here. */
export const namespace = "default"

/** One request for a Lease, as the server's own log has it. */
export interface LeaseRequest {
  /** When it arrived, in nanoseconds of the monotonic clock, exact to a millisecond or two. */
  readonly at: bigint
  /** In the words of a Role: get, list, watch, create, update, patch, delete. */
  readonly verb: string
  readonly user: string
  /** The Lease's name; empty if it names none. */
  readonly lease: string
  /** None while it is not answered. A watch is answered when it opens. */
  readonly status: number | undefined
}

export interface Lease {
  /** None after a release. */
  readonly holder: Option.Option<string>
  readonly transitions: number
}

export class ApiServer extends Context.Service<
  ApiServer,
  {
    readonly port: number
    readonly url: string
    /** The authority of its certificate as PEM. */
    readonly ca: string
    readonly token: (user: User) => string
    /** The path of the user's kubeconfig file. */
    readonly kubeconfig: (user: User) => string
    /** Gives all three users the Role for this one Lease, and nothing more. Returns when it is in force. */
    readonly allow: (lease: string) => Effect.Effect<void>
    /** As an administrator sees it; none if it does not exist. */
    readonly lease: (name: string) => Effect.Effect<Option.Option<Lease>>
    /** Oldest first. */
    readonly requests: Effect.Effect<ReadonlyArray<LeaseRequest>>
    readonly stop: Effect.Effect<void>
    /** On the same port, with everything it had stored; returns when it answers. */
    readonly start: Effect.Effect<void>
    /** Connections stay open and new ones are accepted, but nothing is answered. */
    readonly freeze: Effect.Effect<void>
    readonly thaw: Effect.Effect<void>
  }
>()("@effect-leader/test-end-to-end/ApiServer") {}

/** What a candidate needs for one Lease, and all that it gets here. */
export const candidateRule = (lease: string) => ({
  apiGroups: ["coordination.k8s.io"],
  resources: ["leases"],
  resourceNames: [lease],
  verbs: ["get", "watch", "update", "create"]
})

const LeaseObject = Schema.Struct({
  spec: Schema.Struct({
    holderIdentity: Schema.optionalKey(Schema.NullOr(Schema.String)),
    leaseTransitions: Schema.Int
  })
})

/** Reads what the server stores. */
export const readLease = (object: unknown): Effect.Effect<Lease, Schema.SchemaError> =>
  Effect.map(Schema.decodeUnknownEffect(LeaseObject)(object), ({ spec }) => ({
    holder: Option.filter(Option.fromNullishOr(spec.holderIdentity), (holder) => holder !== ""),
    transitions: spec.leaseTransitions
  }))

/** Where an instant of the wall clock, in milliseconds, lies on the monotonic clock of this machine. */
export const monotonicAt = (epochMillis: number): bigint =>
  process.hrtime.bigint() - BigInt(Math.round((performance.timeOrigin + performance.now() - epochMillis) * 1e6))
