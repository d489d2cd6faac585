/**
 * Leases as the semantics tests write them.
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { ApiClient, type Asked } from "../ApiClient.ts"

export const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

/** A name that no other test uses. */
export const freshName = Effect.sync(() => `semantics-${randomUUID().slice(0, 8)}`)

export const lease = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name, ...metadata },
  spec
})

export const ask = (method: string, path: string, asked?: Asked) =>
  Effect.flatMap(ApiClient, (client) => client.ask(method, path, asked))

export const post = (body: { readonly metadata: object }) => ask("POST", leases, { body })

export const put = (name: string, body: object) => ask("PUT", `${leases}/${name}`, { body })

export const get = (name: string) => ask("GET", `${leases}/${name}`)

export const remove = (name: string, body?: object) =>
  ask("DELETE", `${leases}/${name}`, body === undefined ? {} : { body })

export const mergePatch = (name: string, body: object) =>
  ask("PATCH", `${leases}/${name}`, { body, contentType: "application/merge-patch+json" })

export const watch = (query: string) =>
  Effect.flatMap(ApiClient, (client) => client.watch(`${leases}?watch=true&${query}`))
