/**
 * A client whose requests end: what waits for an answer that never comes would neither go on nor say so. Watches have an
 * idle limit of their own.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { KubernetesError, Unreachable, type Verb } from "../KubernetesError.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import { describe, type CollectionReference } from "../KubernetesObject.ts"

const patience = Duration.seconds(3)

export const make = (client: KubernetesClient["Service"]): KubernetesClient["Service"] => {
  const bounded =
    (verb: Verb, reference: CollectionReference) =>
    <A>(request: Effect.Effect<A, KubernetesError>): Effect.Effect<A, KubernetesError> =>
      Effect.timeoutOrElse(request, {
        duration: patience,
        orElse: () => {
          const reason = new Unreachable({ detail: `nothing came within ${Duration.format(patience)}` })
          const resource = describe(reference)
          return Effect.fail(new KubernetesError({ verb, resource, server: client.server, reason }))
        }
      })
  return {
    ...client,
    get: (reference) => bounded("get", reference)(client.get(reference)),
    list: (collection, options) => bounded("list", collection)(client.list(collection, options)),
    create: (reference, object) => bounded("create", reference)(client.create(reference, object)),
    update: (reference, object) => bounded("update", reference)(client.update(reference, object))
  }
}
