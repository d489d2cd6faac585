/**
 * The leader's pod has a label that the others have not.
 *
 * Each pod is an object of its own, so that a late write of a stale leader to its own pod would meet no version that a newer
 * leader changed. Therefore every candidate enters its pod on a roll (a label) before it leads for the first time, and
 * a new leader writes its token to the pods on the roll, and takes the label from them, before it labels its own. All
 * writes that were sent before then come too late.
 */
import * as Effect from "effect/Effect"
import type { Pod } from "../Identity.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesObject } from "../KubernetesObject.ts"
import * as FencedObject from "./FencedObject.ts"
import { isAbsent } from "./LockFailure.ts"
import * as OwnPod from "./OwnPod.ts"
import { fieldsOf, labelOf, withLabels } from "./RawObject.ts"
import type { Route } from "./Route.ts"

export interface Options {
  readonly client: KubernetesClient["Service"]
  readonly pod: Pod
  /** The name of the lock. */
  readonly lock: string
  readonly label: string
  readonly value: string
}

/** On the pod of each candidate, whichever its election is. */
export const roll = "effect-leader.dev/candidate"

/** Beside the label, since a pod may be a candidate of several elections, each with a label of its own. */
export const keysOf = (label: string): FencedObject.MarkKeys => ({ lock: `${label}-lock`, token: `${label}-token` })

export const make = ({ client, label, lock, pod, value }: Options): Route => {
  const keys = keysOf(label)
  const ownPod = OwnPod.make(client, pod)
  const without = (object: KubernetesObject) => withLabels(object, { [label]: undefined })

  /** Nobody in this pod leads yet: what the label says is of a process that was here before. */
  const enter = (object: KubernetesObject): KubernetesObject => {
    const mark = FencedObject.markOf(keys, object)
    const entered = withLabels(object, { [roll]: "true", [label]: undefined })
    return mark?.lock === lock ? entered : FencedObject.marked(keys, { lock, token: 0n }, entered)
  }

  const outrank = (own: FencedObject.Mark, admit: FencedObject.Admit, object: KubernetesObject) => {
    const reference = { ...OwnPod.referenceOf(pod), name: object.metadata.name ?? "" }
    const other = FencedObject.make({ client, reference, keys, own, known: object })
    return Effect.catchIf(
      Effect.asVoid(other.write(without, admit)),
      (error) => error._tag === "KubernetesError" && isAbsent(error.reason, reference),
      () => Effect.void
    )
  }

  return {
    object: OwnPod.referenceOf(pod),
    keys,
    toSelf: (object) => withLabels(object, { [label]: value }),
    toNobody: without,
    forbids: OwnPod.forbids(pod),
    atStart: ownPod.change(enter),
    before: (own, admit) =>
      Effect.gen(function* () {
        yield* ownPod.read
        const collection = { ...OwnPod.podType, namespace: pod.namespace }
        const { items } = yield* client.list(collection, { labelSelector: roll })
        const others = items.filter(
          (item) =>
            item.metadata.name !== pod.name &&
            FencedObject.markOf(keys, item)?.lock === lock &&
            // One that is done gets no traffic, whatever its labels.
            (!isDone(item) || labelOf(item, label) !== undefined)
        )
        yield* Effect.forEach(others, (other) => outrank(own, admit, other), { concurrency: 10, discard: true })
      })
  }
}

const isDone = (pod: KubernetesObject): boolean => {
  const { phase } = fieldsOf(pod["status"])
  return phase === "Succeeded" || phase === "Failed"
}
