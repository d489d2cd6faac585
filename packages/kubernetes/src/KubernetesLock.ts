/**
 * Locks that are objects of a Kubernetes cluster. `layerLease` is one Lease, the object that client-go elects on as well:
 * candidates of both kinds may share it.
 *
 * Every write is a PUT with the uid and version that were read, so one of two writers loses, also across a deletion. The
 * first write is a PUT too, without both, so that a Role which names the one Lease allows everything. Fencing tokens are
 * resource versions, which grow across deletion.
 *
 * @since 0.1.0
 */
import { LeaseLock } from "@effect-leader/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as LeaseChanges from "./internal/LeaseChanges.ts"
import * as LeaseObject from "./internal/LeaseObject.ts"
import { LeaseObservations } from "./internal/LeaseObservations.ts"
import { isAbsent, isLost, lockFailure } from "./internal/LockFailure.ts"
import { KubernetesClient } from "./KubernetesClient.ts"
import type { KubernetesObject, ObjectReference } from "./KubernetesObject.ts"

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
export interface LeaseOptions {
  /** The Lease's name: an RFC 1123 subdomain. */
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
export const layerLease = (
  options: LeaseOptions
): Layer.Layer<LeaseLock.LeaseLock, InvalidLockName, KubernetesClient> =>
  Layer.effect(LeaseLock.LeaseLock, makeLease(options))

const makeLease = Effect.fnUntraced(function* (options: LeaseOptions) {
  const client = yield* KubernetesClient
  const name = yield* checkName("name", options.name, subdomain)
  const namespace = yield* checkName("namespace", options.namespace ?? client.namespace, label)
  const lease: ObjectReference = { ...LeaseObject.leaseType, namespace, name }
  const lock = `${namespace}/${name}`
  const fail = (reason: LeaseLock.LockError["reason"]) => new LeaseLock.LockError({ lock, reason })
  const observations = new LeaseObservations()

  const observe = (object: KubernetesObject) => Effect.mapError(Effect.fromResult(observations.present(object)), fail)

  const read = Effect.suspend(() => {
    // Taken before the request: while it is under way a write may become known that this answer does not know of.
    const absent = observations.absent()
    return client.get(lease).pipe(
      Effect.matchEffect({
        onFailure: (error) =>
          isAbsent(error.reason, lease) ? Effect.succeed(absent) : Effect.fail(fail(lockFailure(error))),
        onSuccess: observe
      })
    )
  })

  /** The object that `expected` was read from: known, or read again if somebody else made the observation. */
  const objectOf = Effect.fnUntraced(function* (expected: LeaseLock.Observation) {
    const known = observations.objectOf(expected)
    if (known !== undefined) return known
    const current = yield* read
    const object = observations.objectOf(current)
    return object === undefined || current.version !== expected.version || current.uid !== expected.uid
      ? yield* fail(new LeaseLock.Conflict({ detail: `version ${expected.version} is not the current one` }))
      : object
  })

  const write = Effect.fnUntraced(function* (expected: LeaseLock.Observation, next: LeaseLock.LeaseRecord) {
    const creates = Option.isNone(expected.record)
    const before = creates ? LeaseObject.fresh(name, namespace) : yield* objectOf(expected)
    const object = yield* Effect.mapError(Effect.fromResult(LeaseObject.overlay(before, next)), fail)
    const stored = yield* Effect.mapError(client.update(lease, object), (error) =>
      fail(
        isLost(error.reason, lease, creates) ? new LeaseLock.Conflict({ detail: error.message }) : lockFailure(error)
      )
    )
    return yield* observe(stored)
  })

  return LeaseLock.LeaseLock.of({
    name: lock,
    durationUnit: Duration.seconds(1),
    read,
    write,
    changes: (after) => LeaseChanges.follow({ client, lease, observations, fail }, after)
  })
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
