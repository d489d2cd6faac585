/**
 * The lock that one object of the cluster is, whatever its kind: compare-and-set by its uid and version.
 */
import { LeaseLock } from "@effect-leader/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesObject, ObjectReference } from "../KubernetesObject.ts"
import * as LockFailure from "./LockFailure.ts"
import * as LockObject from "./LockObject.ts"
import * as ObjectChanges from "./ObjectChanges.ts"
import { isAbsent, ObjectObservations } from "./ObjectObservations.ts"

export interface Place {
  readonly client: KubernetesClient["Service"]
  readonly namespace: string
  readonly name: string
}

export const make = (
  form: LockObject.RecordForm,
  { client, name, namespace }: Place
): LeaseLock.LeaseLock["Service"] => {
  const reference: ObjectReference = { ...form.type, namespace, name }
  const lock = `${namespace}/${name}`
  const fail = (reason: LeaseLock.LockError["reason"]) => new LeaseLock.LockError({ lock, reason })
  const observations = new ObjectObservations(form)

  const observe = (object: KubernetesObject) => Effect.mapError(Effect.fromResult(observations.present(object)), fail)

  const read = Effect.suspend(() => {
    // Taken before the request: while it is under way a write may become known that this answer does not know of.
    const absent = observations.absent()
    return client.get(reference).pipe(
      Effect.matchEffect({
        onFailure: (error) =>
          LockFailure.isAbsent(error.reason, reference)
            ? Effect.succeed(absent)
            : Effect.fail(fail(LockFailure.lockFailure(error))),
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
    const creates = isAbsent(expected)
    const before = creates ? LockObject.fresh(form, name, namespace) : yield* objectOf(expected)
    const object = yield* Effect.mapError(Effect.fromResult(LockObject.overlay(form, before, next)), fail)
    const stored = yield* (creates ? form.create(client, reference, object) : client.update(reference, object)).pipe(
      Effect.mapError((error) =>
        fail(
          LockFailure.isLost(error.reason, reference, creates)
            ? new LeaseLock.Conflict({ detail: error.message })
            : LockFailure.lockFailure(error)
        )
      )
    )
    return yield* observe(stored)
  })

  return {
    name: lock,
    durationUnit: Duration.seconds(1),
    read,
    write,
    changes: (after) => ObjectChanges.follow({ client, reference, observations, fail }, after)
  }
}
