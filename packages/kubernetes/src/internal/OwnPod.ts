/**
 * What a candidate changes on its own pod, leader or not, such as a label with the pod's own name.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isDeepStrictEqual } from "node:util"
import type { Pod } from "../Identity.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesError } from "../KubernetesError.ts"
import type { KubernetesObject, ObjectReference, ResourceType } from "../KubernetesObject.ts"
import { isLost } from "./LockFailure.ts"

export const podType: ResourceType = { group: "", version: "v1", kind: "Pod", plural: "pods" }

export const referenceOf = ({ name, namespace }: Pod): ObjectReference => ({ ...podType, namespace, name })

/**
 * There is another pod of that name: this process belongs to one that is no more, and that no traffic reaches.
 */
export class PodReplaced extends Schema.TaggedError<PodReplaced>()("PodReplaced", {
  pod: Schema.String,
  uid: Schema.String,
  now: Schema.String
}) {
  override get message(): string {
    return `pod ${JSON.stringify(this.pod)} is another one now (uid ${this.now}, this process is of ${this.uid}): it is left alone`
  }
}

export const forbids =
  ({ name, uid }: Pod) =>
  ({ metadata: { uid: now = "none" } }: KubernetesObject): PodReplaced | undefined =>
    uid === undefined || now === uid ? undefined : new PodReplaced({ pod: name, uid, now })

/** Makes the pod as wanted, with uid and version, again after a conflict. */
export const change = (
  client: KubernetesClient["Service"],
  pod: Pod,
  overlay: (object: KubernetesObject) => KubernetesObject
): Effect.Effect<void, KubernetesError | PodReplaced> => {
  const reference = referenceOf(pod)
  const once = Effect.gen(function* () {
    const object = yield* client.get(reference)
    const why = forbids(pod)(object)
    if (why !== undefined) return yield* why
    const wanted = overlay(object)
    if (!isDeepStrictEqual(wanted, object)) yield* client.update(reference, wanted)
  })
  return Effect.retry(once, {
    times: 10,
    while: (error) => error._tag === "KubernetesError" && isLost(error.reason, reference, false)
  })
}
