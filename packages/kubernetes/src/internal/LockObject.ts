/**
 * Between an object of the cluster and a lock's record, both ways, without I/O. Where the record lies is the object's
 * `RecordForm`; what is the same for all is here: what names a version, and what is kept in annotations beside the record.
 *
 * Writing lays the record over the object that was read, so that labels, annotations, owner references, data and fields
 * unknown here stay.
 *
 * Incarnation and address are annotations, which a peer such as client-go leaves alone, whatever it does to the record.
 * So an address says whose it is, and counts for that holder only. An incarnation beside another holder means nothing;
 * beside none it says that somebody else emptied the lock, which the election has to know.
 */
import { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isDeepStrictEqual } from "node:util"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesError } from "../KubernetesError.ts"
import type { KubernetesObject, ObjectReference, ResourceType } from "../KubernetesObject.ts"
import * as RecordFields from "./RecordFields.ts"
import { sayIssues } from "./SchemaText.ts"

/** How the record lies in the objects of one kind. */
export interface RecordForm {
  readonly type: ResourceType
  /** None where the object holds no record, so that it exists but the lock does not. */
  readonly read: (object: KubernetesObject) => Result.Result<Option.Option<RecordFields.Stored>, LeaseLock.Malformed>
  readonly lay: (object: KubernetesObject, record: RecordFields.Writable) => KubernetesObject
  /** Makes the object, and never replaces one that exists. */
  readonly create: (
    client: KubernetesClient["Service"],
    reference: ObjectReference,
    object: KubernetesObject
  ) => Effect.Effect<KubernetesObject, KubernetesError>
}

/** An object as it is stored: its record, and what names this version of it. */
export interface StoredLock {
  readonly record: Option.Option<LeaseLock.LeaseRecord>
  readonly version: string
  readonly fence: bigint
  readonly uid: string
}

/** Where the incarnation is kept: other clients leave an annotation alone. */
export const incarnationAnnotation = "effect-leader.dev/incarnation"

/** Where the address is kept, with whose it is: `HOST:PORT HOLDER`. */
export const addressAnnotation = "effect-leader.dev/address"

const Metadata = Schema.Struct({
  metadata: Schema.Struct({
    uid: Schema.NonEmptyString,
    resourceVersion: Schema.String.check(
      Schema.isPattern(/^\d+$/, { expected: "a decimal number (versions are fencing tokens here)" })
    ),
    annotations: RecordFields.maybe(Schema.Record(Schema.String, Schema.String))
  })
})

const decodeMetadata = Schema.decodeUnknownResult(Metadata)

/** Reads an object; a failure names every field that cannot be read, and what is there. */
export const read = (form: RecordForm, object: KubernetesObject): Result.Result<StoredLock, LeaseLock.Malformed> => {
  const decoded = decodeMetadata(object, { errors: "all", reportInput: true })
  if (Result.isFailure(decoded)) return unreadable(form.type, sayIssues(decoded.failure))
  const { annotations, resourceVersion, uid } = decoded.success.metadata
  return Result.map(form.read(object), (stored) => ({
    record: Option.map(stored, (fields) => {
      const record = RecordFields.read(fields)
      const incarnation = annotations?.[incarnationAnnotation]
      const address = readAddress(annotations?.[addressAnnotation], record.holder)
      return { ...record, ...(incarnation ? { incarnation } : {}), ...(address ? { address } : {}) }
    }),
    version: resourceVersion,
    fence: BigInt(resourceVersion),
    uid
  }))
}

export const unreadable = ({ kind }: ResourceType, said: string) =>
  Result.fail(new LeaseLock.Malformed({ detail: `the stored ${kind} cannot be read: ${said}` }))

/** The version that a deletion or a bookmark happened at. */
export const readVersion = (object: KubernetesObject): string | undefined => {
  const version = object.metadata.resourceVersion
  return version !== undefined && /^\d+$/.test(version) ? version : undefined
}

/** One that does not exist yet: no uid and no version. */
export const fresh = ({ type }: RecordForm, name: string, namespace: string): KubernetesObject => ({
  apiVersion: type.group === "" ? type.version : `${type.group}/${type.version}`,
  kind: type.kind,
  metadata: { name, namespace }
})

/**
 * The object with the record laid over it; uid and version stay those of `object`.
 *
 * An API server takes a PUT that changes nothing for no write: no new version, no event, so followers would not see a
 * renewal that the holder counts on. Should a clock that was set back repeat a record exactly, its renewal is told a
 * millisecond later.
 */
export const overlay = (
  form: RecordForm,
  object: KubernetesObject,
  record: LeaseLock.LeaseRecord
): Result.Result<KubernetesObject, LeaseLock.Malformed> =>
  Result.flatMap(lay(form, object, record), (written) =>
    isDeepStrictEqual(written, object)
      ? lay(form, object, { ...record, renewedAt: DateTime.add(record.renewedAt, { milliseconds: 1 }) })
      : Result.succeed(written)
  )

const lay = (
  form: RecordForm,
  object: KubernetesObject,
  record: LeaseLock.LeaseRecord
): Result.Result<KubernetesObject, LeaseLock.Malformed> =>
  Result.map(RecordFields.write(form.type.kind, record), (fields) =>
    annotated(form.lay(object, fields), {
      [incarnationAnnotation]: record.incarnation,
      [addressAnnotation]: writeAddress(record)
    })
  )

/** With these annotations; one that is undefined is removed. */
export const annotated = (
  object: KubernetesObject,
  wanted: { readonly [annotation: string]: string | undefined }
): KubernetesObject => {
  const before = object.metadata.annotations ?? {}
  if (Object.entries(wanted).every(([annotation, value]) => before[annotation] === value)) return object
  const annotations = { ...before }
  for (const [annotation, value] of Object.entries(wanted)) {
    if (value === undefined) delete annotations[annotation]
    else annotations[annotation] = value
  }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

const writeAddress = ({ address, holder }: LeaseLock.LeaseRecord): string | undefined =>
  address === undefined || Option.isNone(holder) ? undefined : `${address} ${holder.value}`

const readAddress = (text: string | undefined, holder: Option.Option<string>): string | undefined => {
  const [, address, owner] = /^(\S+) (.*)$/s.exec(text ?? "") ?? []
  return owner !== undefined && Option.contains(holder, owner) ? address : undefined
}
