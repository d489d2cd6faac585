/**
 * A ConfigMap or Endpoints that is a lock holds its record as JSON in an annotation, as client-go wrote it before there
 * were Leases. The object may be there for other reasons as well: all that is in it stays. Where the annotation is missing
 * or empty there is no lock, so taking it away is as deleting the lock: whoever held it may still work.
 *
 * Peers read times as RFC 3339 in whole seconds. The exact ones are two more keys of the JSON, which peers skip when they
 * read and drop when they write, so that they belong to this record as long as they fit its seconds. client-go compares
 * these texts byte by byte: with the exact times in them it sees a renewal within the same second, too.
 *
 * What cannot be read is not taken over: a peer could not read it either, and who holds the lock nobody knows.
 */
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { KubernetesObject, ResourceType } from "../KubernetesObject.ts"
import { annotated, unreadable, type RecordForm } from "./LockObject.ts"
import { lockTypes } from "./LockTypes.ts"
import { fieldsOf } from "./RawObject.ts"
import * as RecordFields from "./RecordFields.ts"
import { sayIssues } from "./SchemaText.ts"

export const recordAnnotation = "control-plane.alpha.kubernetes.io/leader"

const exactAcquireTime = "effect-leader.dev/acquireTime"
const exactRenewTime = "effect-leader.dev/renewTime"

const parse = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Unknown))

const decode = Schema.decodeUnknownResult(
  Schema.Struct({
    ...RecordFields.spelling,
    leaderTransitions: RecordFields.maybe(Schema.Finite),
    [exactAcquireTime]: Schema.optionalKey(Schema.Unknown),
    [exactRenewTime]: Schema.optionalKey(Schema.Unknown)
  })
)

const textOf = ({ metadata }: KubernetesObject): string => metadata.annotations?.[recordAnnotation] ?? ""

const read =
  (type: ResourceType): RecordForm["read"] =>
  (object) => {
    const text = textOf(object)
    if (text === "") return Result.succeedNone
    const parsed = parse(text)
    if (Result.isFailure(parsed)) return refuse(type, object, "is no JSON")
    // null is what Go makes an empty record of.
    const decoded = decode(parsed.success ?? {}, { errors: "all", reportInput: true })
    if (Result.isFailure(decoded)) {
      return refuse(type, object, `is no election record (${sayIssues(decoded.failure)})`)
    }
    const { leaderTransitions, ...fields } = decoded.success
    return Result.succeedSome({
      ...fields,
      acquireTime: exactly(fields.acquireTime, fields[exactAcquireTime]),
      renewTime: exactly(fields.renewTime, fields[exactRenewTime]),
      transitions: leaderTransitions
    })
  }

const refuse = (type: ResourceType, object: KubernetesObject, why: string) => {
  const { name = "", namespace = "" } = object.metadata
  const text = textOf(object)
  const shown = JSON.stringify(text.length > 160 ? `${text.slice(0, 160)}...` : text)
  return unreadable(
    type,
    `its annotation ${recordAnnotation} holds ${shown}, which ${why}. Nobody can take the lock until that is mended; once ` +
      `no holder works any more: kubectl annotate ${type.plural} ${name} --namespace=${namespace} ${recordAnnotation}-`
  )
}

/** The exact time, if it is of the second that is told to all. */
const exactly = (told: string | null | undefined, exact: unknown): string | null => {
  const isOfIt =
    typeof exact === "string" && wholeSecond(RecordFields.readTime(exact)) === wholeSecond(RecordFields.readTime(told))
  return isOfIt ? exact : (told ?? null)
}

const wholeSecond = (time: DateTime.Utc): number => Math.floor(DateTime.toEpochMillis(time) / 1000)

const lay: RecordForm["lay"] = (object, { acquireTime, renewTime, transitions, ...fields }) => {
  const record = {
    ...fields,
    acquireTime: inSeconds(acquireTime),
    renewTime: inSeconds(renewTime),
    leaderTransitions: transitions,
    [exactAcquireTime]: acquireTime,
    [exactRenewTime]: renewTime
  }
  const unknown = Object.entries(fieldsOf(Result.getOrUndefined(parse(textOf(object))))).filter(
    ([key]) => !Object.hasOwn(record, key)
  )
  return annotated(object, { [recordAnnotation]: JSON.stringify({ ...record, ...Object.fromEntries(unknown) }) })
}

const inSeconds = (time: string): string => time.replace(/\.\d+Z$/, "Z")

export const configMap: RecordForm = {
  type: lockTypes.ConfigMap,
  read: read(lockTypes.ConfigMap),
  lay,
  // A PUT of an absent ConfigMap is answered 404.
  create: (client, reference, object) => client.create(reference, object)
}

export const endpoints: RecordForm = {
  type: lockTypes.Endpoints,
  read: read(lockTypes.Endpoints),
  lay,
  // A Role can name what is made by PUT. One without a version would replace Endpoints that exist; with the version 1, which
  // no object has, since the store begins with it, it conflicts with them, and makes them where there are none.
  create: (client, reference, object) =>
    client.update(reference, { ...object, metadata: { ...object.metadata, resourceVersion: "1" } })
}
