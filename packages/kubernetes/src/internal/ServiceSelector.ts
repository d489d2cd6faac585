/**
 * The Service's selector names the leader's pod, by a label that every candidate puts on its own pod. While nobody leads it
 * names no pod at all.
 */
import type { Pod } from "../Identity.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesObject } from "../KubernetesObject.ts"
import type { MarkKeys } from "./FencedObject.ts"
import * as OwnPod from "./OwnPod.ts"
import { fieldsOf, withLabels } from "./RawObject.ts"
import type { Route } from "./Route.ts"

export interface Options {
  readonly client: KubernetesClient["Service"]
  readonly pod: Pod
  readonly service: string
  readonly label: string
}

/** What the label of no pod says, since it is no name that anybody gives. */
export const nobody = "nobody.effect-leader.dev"

export const keys: MarkKeys = { lock: "effect-leader.dev/routing-lock", token: "effect-leader.dev/routing-token" }

export const make = ({ client, label, pod, service }: Options): Route => {
  const selecting = (value: string) => (object: KubernetesObject) => {
    const spec = fieldsOf(object["spec"])
    return { ...object, spec: { ...spec, selector: { ...fieldsOf(spec["selector"]), [label]: value } } }
  }
  const labelled = OwnPod.make(client, pod).change((object) => withLabels(object, { [label]: pod.name }))
  return {
    object: { group: "", version: "v1", kind: "Service", plural: "services", namespace: pod.namespace, name: service },
    keys,
    toSelf: selecting(pod.name),
    toNobody: selecting(nobody),
    atStart: labelled,
    before: () => labelled
  }
}
