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
import { isAbsent, isLost } from "./LockFailure.ts"

export const podType: ResourceType = { group: "", version: "v1", kind: "Pod", plural: "pods" }

export const referenceOf = ({ name, namespace }: Pod): ObjectReference => ({ ...podType, namespace, name })

/**
 * This process belongs to a pod that is no more, and that no traffic reaches. There may be another one of its name.
 */
export class PodGone extends Schema.TaggedError<PodGone>()("PodGone", {
  pod: Schema.String,
  uid: Schema.String,
  now: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const pod = `pod ${JSON.stringify(this.pod)}`
    return this.now === undefined
      ? `${pod} is gone (uid ${this.uid}), and this process still runs`
      : `${pod} is another one now (uid ${this.now}, this process is of ${this.uid}): it is left alone`
  }
}

export const forbids =
  ({ name, uid }: Pod) =>
  ({ metadata: { uid: now = "none" } }: KubernetesObject): PodGone | undefined =>
    uid === undefined || now === uid ? undefined : new PodGone({ pod: name, uid, now })

export interface OwnPod {
  /** The pod, if it is still this process's. */
  readonly read: Effect.Effect<KubernetesObject, KubernetesError | PodGone>
  /** Makes the pod as wanted, with uid and version, again after a conflict. */
  readonly change: (
    overlay: (object: KubernetesObject) => KubernetesObject
  ) => Effect.Effect<void, KubernetesError | PodGone>
}

export const make = (client: KubernetesClient["Service"], pod: Pod): OwnPod => {
  const reference = referenceOf(pod)
  const { name, uid } = pod
  // One that was never there is looked for in a wrong place, as by all candidates perhaps.
  let wasThere = false

  const read = client.get(reference).pipe(
    Effect.mapError((error) =>
      wasThere && uid !== undefined && isAbsent(error.reason, reference) ? new PodGone({ pod: name, uid }) : error
    ),
    Effect.flatMap((object) => {
      const why = forbids(pod)(object)
      if (why !== undefined) return Effect.fail(why)
      wasThere = true
      return Effect.succeed(object)
    })
  )
  const change: OwnPod["change"] = (overlay) =>
    Effect.retry(
      Effect.flatMap(read, (object) => {
        const wanted = overlay(object)
        return isDeepStrictEqual(wanted, object) ? Effect.void : Effect.asVoid(client.update(reference, wanted))
      }),
      {
        times: 10,
        while: (error) =>
          error._tag === "KubernetesError" && error.verb === "update" && isLost(error.reason, reference, false)
      }
    )
  return { read, change }
}
