/**
 * The objects without HTTP: what tests read and write behind the back of the clients that they test.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as ApiFailure from "./ApiFailure.ts"
import * as ApiObject from "./ApiObject.ts"
import type * as ObjectStore from "./ObjectStore.ts"
import * as ResourceKind from "./ResourceKind.ts"

/**
 * An object to be written: apiVersion and kind follow from the resource, and the server decides the rest of the metadata.
 *
 * @since 0.1.0
 */
export interface NewObject {
  readonly metadata: {
    readonly name: string
    readonly labels?: { readonly [key: string]: string }
    readonly annotations?: { readonly [key: string]: string }
  }
  readonly [field: string]: unknown
}

/**
 * Access to the objects by resource (the plural, as in a path: `leases`), namespace (empty for resources that have none)
 * and name.
 *
 * @since 0.1.0
 */
export interface DirectStore {
  readonly get: (resource: string, namespace: string, name: string) => Effect.Effect<Option.Option<ApiObject.ApiObject>>
  readonly list: (resource: string, namespace: string) => Effect.Effect<ReadonlyArray<ApiObject.ApiObject>>
  /** Creates the object or replaces it, whatever its version; watches see it. */
  readonly put: (
    resource: string,
    namespace: string,
    object: NewObject
  ) => Effect.Effect<ApiObject.ApiObject, ApiFailure.ApiFailure>
  /** Whether it was there. */
  readonly delete: (resource: string, namespace: string, name: string) => Effect.Effect<boolean>
  /** The version of the latest write to any object. */
  readonly version: Effect.Effect<string>
}

export const make = (store: ObjectStore.ObjectStore): DirectStore => ({
  get: (resource, namespace, name) =>
    Effect.sync(() => Result.getSuccess(store.get({ kind: kindOf(resource), namespace, name }))),
  list: (resource, namespace) =>
    Effect.sync(() => {
      const kind = kindOf(resource)
      return Result.getOrThrow(store.list(kind, kind.namespaced ? namespace : undefined)).items
    }),
  put: (resource, namespace, object) =>
    Effect.suspend(() => {
      const kind = kindOf(resource)
      const address = { kind, namespace, name: object.metadata.name }
      const written = Result.gen(function* () {
        const draft = yield* Result.mapError(ApiObject.read(kind.kind, kind.fields, object), (why) =>
          ApiFailure.undecodable(kind.kind, kind.version, why)
        )
        const current = Result.getSuccess(store.get(address))
        if (Option.isNone(current)) return yield* store.create(kind, namespace, draft)
        const { resourceVersion } = current.value.metadata
        const replacing = { ...draft, metadata: { ...draft.metadata, resourceVersion } }
        return (yield* store.update(address, replacing, () => Result.void)).object
      })
      return Effect.fromResult(written)
    }),
  delete: (resource, namespace, name) =>
    Effect.sync(() => Result.isSuccess(store.remove({ kind: kindOf(resource), namespace, name }, {}))),
  version: Effect.sync(() => String(store.version()))
})

const kindOf = (resource: string): ResourceKind.ResourceKind => {
  const kind = ResourceKind.all.find(({ plural }) => plural === resource)
  if (kind === undefined) throw new Error(`the embedded API server serves no resource "${resource}"`)
  return kind
}
