/**
 * A client of an API server that has the feature gate CoordinatedLeaderElection on, made of one that has it off: Leases
 * are read with the two fields of that feature, which a server with the gate off drops, and what is sent is noted.
 */
import type { KubernetesClient } from "@effect-leader/kubernetes"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

type Client = KubernetesClient.KubernetesClient["Service"]

export const fields = { strategy: "OldestEmulationVersion", preferredHolder: "the-preferred" } as const

const withFields = (object: KubernetesClient.KubernetesObject): KubernetesClient.KubernetesObject => ({
  ...object,
  spec: { ...Object(object["spec"]), ...fields }
})

export const make = (client: Client) => {
  const sent: Array<unknown> = []
  const coordinated: Client = {
    ...client,
    get: (reference) => Effect.map(client.get(reference), withFields),
    update: (reference, object) =>
      Effect.suspend(() => {
        sent.push(object["spec"])
        return Effect.map(client.update(reference, object), withFields)
      }),
    watch: (reference, options) =>
      Stream.map(client.watch(reference, options), (event) =>
        event.type === "BOOKMARK" ? event : { ...event, object: withFields(event.object) }
      )
  }
  return { client: coordinated, sent }
}
