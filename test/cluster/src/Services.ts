/**
 * What kube-proxy is to a cluster: where requests to a Service go. A client asks the Service's EndpointSlices for the
 * addresses that are ready, and hears of changes at once.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Address from "./node/Address.ts"
import type * as Api from "./node/Api.ts"

export interface Endpoint {
  /** The Pod's name. */
  readonly pod: string
  /** Where its process listens. */
  readonly host: string
  readonly port: number
}

const Slice = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String }),
  ports: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({ port: Schema.Int })))),
  endpoints: Schema.optionalKey(
    Schema.NullOr(
      Schema.Array(
        Schema.Struct({
          addresses: Schema.Array(Schema.String),
          conditions: Schema.optionalKey(Schema.Struct({ ready: Schema.optionalKey(Schema.NullOr(Schema.Boolean)) })),
          targetRef: Schema.optionalKey(Schema.Struct({ name: Schema.String }))
        })
      )
    )
  )
})

const decodeSlice = Schema.decodeUnknownEffect(Slice)
const decodeSlices = Schema.decodeUnknownEffect(
  Schema.Struct({ metadata: Schema.Struct({ resourceVersion: Schema.String }), items: Schema.Array(Slice) })
)

const pathOf = (namespace: string, service: string): string =>
  `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${service}`)}`

/** The ready ones, now. */
export const endpoints = (api: Api.Api, namespace: string, service: string) =>
  api.get(pathOf(namespace, service)).pipe(
    Effect.flatMap(decodeSlices),
    Effect.map(({ items }) => items.flatMap(readyOf))
  )

/** The ready ones, now and whenever they change; ends when the server ends the watch. */
export const changes = (api: Api.Api, namespace: string, service: string) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const path = pathOf(namespace, service)
      const { items, metadata } = yield* Effect.flatMap(api.get(path), decodeSlices)
      const slices = new Map(items.map((slice) => [slice.metadata.name, slice]))
      const now = () => [...slices.values()].flatMap(readyOf)
      const later = api.watch(`${path}&watch=true&resourceVersion=${metadata.resourceVersion}`).pipe(
        Stream.mapEffect(({ object, type }) =>
          Effect.map(decodeSlice(object), (slice) => {
            if (type === "DELETED") slices.delete(slice.metadata.name)
            else slices.set(slice.metadata.name, slice)
            return now()
          })
        )
      )
      return Stream.concat(Stream.make(now()), later)
    })
  )

const readyOf = ({ endpoints, ports }: typeof Slice.Type): ReadonlyArray<Endpoint> =>
  (endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses, targetRef }) =>
      addresses.map((address) => ({
        pod: targetRef?.name ?? "",
        host: Address.local(address),
        port: ports?.[0]?.port ?? 0
      }))
    )
