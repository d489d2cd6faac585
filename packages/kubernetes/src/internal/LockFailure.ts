/**
 * What a failed request means to an election: did another write win, may it be tried again, is it not allowed, or does it
 * make no sense.
 */
import { LeaseLock } from "@effect-leader/core"
import type { KubernetesError } from "../KubernetesError.ts"
import type { ObjectReference } from "../KubernetesObject.ts"

type Reason = KubernetesError["reason"]

/** In a Status with a reason, as each refusal of an API server is. A proxy's page is not, whatever its status. */
const isServersWord = (reason: Reason): boolean => reason._tag === "Refused" && reason.reason !== ""

/**
 * The API server says that the object does not exist. Any other 404, as of a proxy that lost its backend or of a server
 * that does not serve Leases yet, must not depose a leader.
 */
export const isAbsent = (reason: Reason, { plural }: ObjectReference): boolean =>
  reason._tag === "Refused" && reason.status === 404 && reason.reason === "NotFound" && reason.about === plural

/** Another write came first. `creates`: the PUT was sent without uid and version. */
export const isLost = (reason: Reason, object: ObjectReference, creates: boolean): boolean => {
  if (reason._tag !== "Refused" || !isServersWord(reason)) return false
  if (reason.status === 409) return true
  // Who loses the race for the first write is not told of a conflict but that he must say which version he updates.
  return creates
    ? reason.status === 422 && reason.fields.includes("metadata.resourceVersion")
    : isAbsent(reason, object)
}

/** The history of the server does not reach back to the version that a watch was to begin at. */
export const isExpired = ({ reason }: KubernetesError): boolean =>
  reason._tag === "Refused" && isServersWord(reason) && reason.status === 410

/** For all that is not a lost race. */
export const lockFailure = (error: KubernetesError): LeaseLock.LockError["reason"] => {
  const { message: detail, reason } = error
  if (reason._tag !== "Refused") return new LeaseLock.Unavailable({ detail })
  const { about, retryAfter, status } = reason
  if (isExpired(error)) {
    return new LeaseLock.Unavailable({ detail: `watch history expired: read again (${detail})` })
  }
  const mayPass = status === 408 || status === 429 || status >= 500 || (status === 404 && about !== "namespaces")
  if (mayPass || !isServersWord(reason)) {
    return new LeaseLock.Unavailable({ detail, ...(retryAfter === undefined ? {} : { retryAfter }) })
  }
  return status === 401 || status === 403 || status === 404
    ? new LeaseLock.Denied({ detail })
    : new LeaseLock.Malformed({ detail })
}
