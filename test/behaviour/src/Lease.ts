/**
 * The Lease of one case, as an administrator sees and changes it behind the candidates' backs, with plain requests.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Admin, type JsonObject, leasesOf } from "../../../packages/kubernetes/test/TestCluster.ts"

const Fields = Schema.Record(Schema.String, Schema.Unknown)

const Lease = Schema.Struct({
  metadata: Schema.Struct({
    resourceVersion: Schema.String,
    labels: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    annotations: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
  }),
  spec: Schema.optionalKey(Fields)
})

export interface Spec {
  readonly [field: string]: unknown
}

export const make = (admin: Admin, name: string) => {
  const leases = leasesOf(admin)
  const get = leases.get(name).pipe(Effect.flatMap(Schema.decodeUnknownEffect(Lease)), Effect.orDie)

  /** Somebody else may write between the read and the write of an edit. */
  const edit = (change: (lease: JsonObject) => JsonObject): Effect.Effect<void> =>
    Effect.flatMap(leases.edit(name, change), ({ status }) => (status === 200 ? Effect.void : edit(change)))

  return {
    name,
    get,
    spec: Effect.map(get, ({ spec }) => spec ?? {}),
    create: (spec?: Spec, metadata?: object) =>
      Effect.tap(leases.create(name, spec, metadata), ({ status }) =>
        status === 201 ? Effect.void : Effect.die(new Error(`the Lease could not be created: status ${status}`))
      ),
    /** Writes these fields over those that are there. */
    change: (spec: Spec) => edit((lease) => ({ ...lease, spec: { ...Object(lease["spec"]), ...spec } })),
    label: (labels: { readonly [key: string]: string }) =>
      edit((lease) => ({ ...lease, metadata: { ...Object(lease["metadata"]), labels } })),
    remove: leases.delete(name)
  }
}

export type Lease = ReturnType<typeof make>

/** As the API server wants times: six digits after the second. */
export const time = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")

/** What a live holder of another kind leaves. */
export const heldBy = (holder: string, leaseDurationSeconds = 15): Spec => ({
  holderIdentity: holder,
  leaseDurationSeconds,
  acquireTime: time(Date.now()),
  renewTime: time(Date.now()),
  leaseTransitions: 0
})
