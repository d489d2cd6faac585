/**
 * What a candidate changes on its own pod, leader or not, such as a label with the pod's own name.
 */
import * as Effect from "effect/Effect"
import { isDeepStrictEqual } from "node:util"
import type { Pod } from "../Identity.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesError } from "../KubernetesError.ts"
import type { KubernetesObject, ObjectReference, ResourceType } from "../KubernetesObject.ts"
import { Fenced } from "./FencedObject.ts"
import { isLost } from "./LockFailure.ts"

export const podType: ResourceType = { group: "", version: "v1", kind: "Pod", plural: "pods" }

export const referenceOf = ({ name, namespace }: Pod): ObjectReference => ({ ...podType, namespace, name })

/** A pod of the same name that is another one: this process belongs to a pod that was replaced. */
export const forbids =
  ({ name, uid }: Pod) =>
  (object: KubernetesObject): string | undefined =>
    uid === undefined || object.metadata.uid === uid
      ? undefined
      : `pod ${JSON.stringify(name)} is another one now (uid ${object.metadata.uid}, this process is of ${uid}): it is left alone`

/** Makes the pod as wanted, with uid and version, again after a conflict. */
export const change = (
  client: KubernetesClient["Service"],
  pod: Pod,
  overlay: (object: KubernetesObject) => KubernetesObject
): Effect.Effect<void, KubernetesError | Fenced> => {
  const reference = referenceOf(pod)
  const once = Effect.gen(function* () {
    const object = yield* client.get(reference)
    const why = forbids(pod)(object)
    if (why !== undefined) return yield* new Fenced({ detail: why })
    const wanted = overlay(object)
    if (!isDeepStrictEqual(wanted, object)) yield* client.update(reference, wanted)
  })
  return Effect.retry(once, {
    times: 10,
    while: (error) => error._tag === "KubernetesError" && isLost(error.reason, reference, false)
  })
}
