/**
 * Between a Lease object and a lock's record, both ways, without I/O.
 *
 * Reading takes every shape that a peer can leave behind, so that none wedges the election: what is missing, null or
 * senseless reads as free or expired. Only an object that is no Lease at all is refused. Writing lays the record over the
 * object that was read, so that labels, annotations, owner references and fields unknown here stay, and refuses what a
 * Lease cannot hold instead of cutting it.
 */
import { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isDeepStrictEqual } from "node:util"
import type { KubernetesObject, ResourceType } from "../KubernetesObject.ts"
import { sayIssues } from "./SchemaText.ts"

export const leaseType: ResourceType = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases"
}

/** Where the incarnation is kept: other clients leave an annotation alone. */
export const incarnationAnnotation = "effect-leader.dev/incarnation"

/** A Lease as it is stored: its record, and what names this version of it. */
export interface StoredLease {
  readonly record: LeaseLock.LeaseRecord
  readonly version: string
  readonly fence: bigint
  readonly uid: string
}

const maybe = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Lease = Schema.Struct({
  metadata: Schema.Struct({
    uid: Schema.NonEmptyString,
    resourceVersion: Schema.String.check(
      Schema.isPattern(/^\d+$/, { expected: "a decimal number (versions are fencing tokens here)" })
    ),
    annotations: maybe(Schema.Record(Schema.String, Schema.String))
  }),
  spec: maybe(
    Schema.Struct({
      holderIdentity: maybe(Schema.String),
      leaseDurationSeconds: maybe(Schema.Finite),
      acquireTime: maybe(Schema.String),
      renewTime: maybe(Schema.String),
      leaseTransitions: maybe(Schema.Finite)
    })
  )
})

const decodeLease = Schema.decodeUnknownResult(Lease)

/** Reads a Lease; a failure names every field that cannot be read, and what is there. */
export const read = (object: KubernetesObject): Result.Result<StoredLease, LeaseLock.Malformed> => {
  const decoded = decodeLease(object, { errors: "all", reportInput: true })
  if (Result.isFailure(decoded)) {
    return Result.fail(
      new LeaseLock.Malformed({ detail: `the stored Lease cannot be read: ${sayIssues(decoded.failure)}` })
    )
  }
  const { metadata, spec } = decoded.success
  const incarnation = metadata.annotations?.[incarnationAnnotation]
  return Result.succeed({
    record: {
      holder: Option.fromNullishOr(spec?.holderIdentity || undefined),
      ...(incarnation ? { incarnation } : {}),
      // A holder that says for how long in a way that makes no sense holds for no time: it can be taken over.
      leaseDuration: Duration.seconds(Math.max(0, spec?.leaseDurationSeconds ?? 0)),
      acquiredAt: readTime(spec?.acquireTime),
      renewedAt: readTime(spec?.renewTime),
      transitions: Math.max(0, Math.trunc(spec?.leaseTransitions ?? 0))
    },
    version: metadata.resourceVersion,
    fence: BigInt(metadata.resourceVersion),
    uid: metadata.uid
  })
}

/** The version that a deletion or a bookmark happened at. */
export const readVersion = (object: KubernetesObject): string | undefined => {
  const version = object.metadata.resourceVersion
  return version !== undefined && /^\d+$/.test(version) ? version : undefined
}

const epoch = DateTime.makeUnsafe(0)
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i

// Expiry is measured by the observer's own clock, never by these times: one that cannot be read does no harm.
const readTime = (text: string | null | undefined): DateTime.Utc =>
  text && rfc3339.test(text) ? Option.getOrElse(DateTime.make(text), () => epoch) : epoch

/** A Lease that does not exist yet: no uid and no version, so that a PUT of it creates, and never replaces. */
export const fresh = (name: string, namespace: string): KubernetesObject => ({
  apiVersion: `${leaseType.group}/${leaseType.version}`,
  kind: leaseType.kind,
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
  object: KubernetesObject,
  record: LeaseLock.LeaseRecord
): Result.Result<KubernetesObject, LeaseLock.Malformed> =>
  Result.flatMap(lay(object, record), (written) =>
    isDeepStrictEqual(written, object)
      ? lay(object, { ...record, renewedAt: DateTime.add(record.renewedAt, { milliseconds: 1 }) })
      : Result.succeed(written)
  )

const lay = (
  object: KubernetesObject,
  record: LeaseLock.LeaseRecord
): Result.Result<KubernetesObject, LeaseLock.Malformed> =>
  Result.map(writeSpec(record), (spec) => ({
    ...object,
    metadata: { ...object.metadata, ...annotate(object.metadata.annotations, record.incarnation) },
    spec: { ...(isFields(object["spec"]) ? object["spec"] : {}), ...spec }
  }))

const isFields = Schema.is(Schema.Record(Schema.String, Schema.Unknown))

const annotate = (
  annotations: Readonly<Record<string, string>> | null | undefined,
  incarnation: string | undefined
) => {
  if (incarnation !== undefined) return { annotations: { ...annotations, [incarnationAnnotation]: incarnation } }
  if (annotations?.[incarnationAnnotation] === undefined) return {}
  const { [incarnationAnnotation]: _removed, ...rest } = annotations
  return { annotations: rest }
}

const greatestInt32 = 2 ** 31 - 1

const writeSpec = (record: LeaseLock.LeaseRecord): Result.Result<object, LeaseLock.Malformed> => {
  const seconds = Duration.toSeconds(record.leaseDuration)
  const acquireTime = writeTime(record.acquiredAt)
  const renewTime = writeTime(record.renewedAt)
  const violations = [
    isWithin(seconds, 1)
      ? []
      : [`leaseDuration ${sayDuration(record.leaseDuration)} must be 1 to ${greatestInt32} whole seconds`],
    isWithin(record.transitions, 0)
      ? []
      : [`transitions ${record.transitions} must be a whole number from 0 to ${greatestInt32}`],
    Option.contains(record.holder, "") ? [`holder "" must not be empty: an empty one means released`] : [],
    acquireTime === undefined ? ["acquiredAt must be a time in the years 0 to 9999"] : [],
    renewTime === undefined ? ["renewedAt must be a time in the years 0 to 9999"] : []
  ].flat()
  return violations.length > 0
    ? Result.fail(new LeaseLock.Malformed({ detail: `a Lease cannot hold this: ${violations.join("; ")}` }))
    : Result.succeed({
        // Empty and not null, as client-go does: older peers do not expect null.
        holderIdentity: Option.getOrElse(record.holder, () => ""),
        leaseDurationSeconds: seconds,
        acquireTime,
        renewTime,
        leaseTransitions: record.transitions
      })
}

const isWithin = (value: number, least: number): boolean =>
  Number.isInteger(value) && value >= least && value <= greatestInt32

const sayDuration = (duration: Duration.Duration): string =>
  Duration.isFinite(duration) ? Duration.format(duration) : "Infinity"

// MicroTime: the API server refuses any other number of fraction digits than six.
const writeTime = (time: DateTime.Utc): string | undefined => {
  const text = DateTime.formatIso(time)
  return /^\d{4}-/.test(text) ? text.replace("Z", "000Z") : undefined
}
