/**
 * An Event of the core API, as client-go's recorder writes them, with the fields of the newer events API as well, which is
 * another view of the same objects.
 */
import * as DateTime from "effect/DateTime"
import type { KubernetesObject, ObjectReference, ResourceType } from "../KubernetesObject.ts"
import type { Words } from "./LeadershipNews.ts"

export const eventType: ResourceType = { group: "", version: "v1", kind: "Event", plural: "events" }

/** client-go's reason for all events of an election. */
export const reason = "LeaderElection"

export interface Occurrence {
  /** Tells it from others at the same time. */
  readonly salt: number
  readonly words: Words
  readonly at: DateTime.Utc
  /** What it happened to. Without the uid, `kubectl describe` of the object does not show it. */
  readonly to: ObjectReference & { readonly uid?: string }
  /** The program, and which process of it. */
  readonly component: string
  readonly instance: string
}

export const make = ({ at, component, instance, salt, to, words }: Occurrence): KubernetesObject => {
  const time = DateTime.formatIso(at)
  const seconds = time.replace(/\.\d+Z$/, "Z")
  // Cut to what the API server takes.
  const message = words.message.slice(0, 1024)
  const reportingInstance = instance.slice(0, 128)
  return {
    apiVersion: eventType.version,
    kind: eventType.kind,
    metadata: { name: nameOf(to.name, at, salt), ...(to.namespace === undefined ? {} : { namespace: to.namespace }) },
    involvedObject: {
      apiVersion: to.group === "" ? to.version : `${to.group}/${to.version}`,
      kind: to.kind,
      ...(to.namespace === undefined ? {} : { namespace: to.namespace }),
      name: to.name,
      ...(to.uid === undefined ? {} : { uid: to.uid })
    },
    type: words.type,
    reason,
    action: words.action,
    message,
    eventTime: time.replace("Z", "000Z"),
    firstTimestamp: seconds,
    lastTimestamp: seconds,
    count: 1,
    source: { component, host: reportingInstance },
    reportingComponent: component,
    reportingInstance
  }
}

/** As client-go's, of the object's name and the time in nanoseconds: the same at each try, so that none is stored twice. */
const nameOf = (object: string, at: DateTime.Utc, salt: number): string => {
  const nanos = BigInt(DateTime.toEpochMillis(at)) * 1_000_000n + BigInt(salt % 1_000_000)
  return `${object.slice(0, 230).replace(/[-.]+$/, "")}.${nanos.toString(16)}`
}
