/**
 * Why a request to the API server failed: refused by it, not reached, no credential to send, or answered by something
 * that is not a Kubernetes API server. Each message says which verb on which object at which server, what was answered,
 * and what would help.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Reference } from "./KubernetesObject.ts"

/**
 * The API server (or a proxy before it) answered with an error status.
 *
 * @since 0.1.0
 */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  status: Schema.Int,
  /** The server's own word, as `NotFound`; empty if the answer was no Kubernetes Status. */
  reason: Schema.String,
  detail: Schema.String,
  /** The plural of what the refusal is about, which need not be the object asked for, as `namespaces`. */
  about: Schema.optionalKey(Schema.String),
  /** The fields that the server complains about. */
  fields: Schema.Array(Schema.String),
  /** How long the server asks to be left alone. */
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** What would make the server allow it. */
  advice: Schema.optionalKey(Schema.String)
}) {}

/**
 * No answer: refused or reset connection, unknown host, certificate not trusted, a watch that fell silent.
 *
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  detail: Schema.String,
  /** The system's or undici's code, as `ECONNREFUSED`. */
  code: Schema.optionalKey(Schema.String)
}) {}

/**
 * The request was not sent: an exec plugin failed or a token or certificate file cannot be read.
 *
 * @since 0.1.0
 */
export class NoCredential extends Schema.TaggedError<NoCredential>()("NoCredential", {
  detail: Schema.String
}) {}

/**
 * An answer that no Kubernetes API server gives, as the login page of a proxy.
 *
 * @since 0.1.0
 */
export class NotKubernetes extends Schema.TaggedError<NotKubernetes>()("NotKubernetes", {
  detail: Schema.String
}) {}

/**
 * @since 0.1.0
 */
export const Verb = Schema.Literals(["get", "list", "create", "update", "watch"])

/**
 * @since 0.1.0
 */
export type Verb = typeof Verb.Type

/**
 * A request failed. `reason` says why.
 *
 * @since 0.1.0
 */
export class KubernetesError extends Schema.TaggedError<KubernetesError>()("KubernetesError", {
  verb: Verb,
  /** As `leases.coordination.k8s.io "reports" in namespace "default"`. */
  resource: Schema.String,
  server: Schema.String,
  reason: Schema.Union([Refused, Unreachable, NoCredential, NotKubernetes])
}) {
  override get message(): string {
    return `${this.verb} ${this.resource} at ${this.server}: ${sayReason(this.reason)}`
  }
}

const sayReason = (reason: KubernetesError["reason"]): string => {
  switch (reason._tag) {
    case "Refused": {
      const word = reason.reason === "" ? "" : ` ${reason.reason}`
      const advice = reason.advice === undefined ? "" : `; ${reason.advice}`
      return `refused with ${reason.status}${word}: ${reason.detail}${advice}`
    }
    case "Unreachable":
      return `no answer: ${reason.detail}`
    case "NoCredential":
      return `not sent, since no credential is to be had: ${reason.detail}`
    case "NotKubernetes":
      return `not answered by a Kubernetes API server: ${reason.detail}`
  }
}

const Status = Schema.Struct({
  kind: Schema.Literal("Status"),
  message: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String),
  code: Schema.optionalKey(Schema.Int),
  details: Schema.optionalKey(
    Schema.NullOr(
      Schema.Struct({
        kind: Schema.optionalKey(Schema.String),
        retryAfterSeconds: Schema.optionalKey(Schema.Finite),
        causes: Schema.optionalKey(
          Schema.NullOr(
            Schema.Array(
              Schema.Struct({ reason: Schema.optionalKey(Schema.String), field: Schema.optionalKey(Schema.String) })
            )
          )
        )
      })
    )
  )
})

const decodeStatusText = Schema.decodeUnknownOption(Schema.fromJsonString(Status))
const decodeStatusObject = Schema.decodeUnknownOption(Status)

/** An answer that says no. */
export interface Answer {
  readonly verb: Verb
  readonly reference: Reference
  readonly status: number
  /** The value of the Retry-After header. */
  readonly retryAfter?: string | undefined
  /** The text of a response, or the object of an event in a watch. */
  readonly body: unknown
}

/** Reads a refusal from an HTTP error response, or from an ERROR event (whose own code is then the status). */
export const refused = (answer: Answer): Refused => {
  const status = typeof answer.body === "string" ? decodeStatusText(answer.body) : decodeStatusObject(answer.body)
  const said = Option.getOrUndefined(status)
  const seconds = said?.details?.retryAfterSeconds ?? Number(answer.retryAfter)
  const code = answer.status === 0 ? (said?.code ?? 0) : answer.status
  const causes = said?.details?.causes ?? []
  const detail = said?.message ?? excerpt(answer.body)
  const advice = advise(answer, code, said?.details?.kind, detail, causes.some(isTerminating))
  return new Refused({
    status: code,
    reason: said?.reason ?? "",
    detail,
    fields: causes.flatMap((cause) => (cause.field === undefined ? [] : [cause.field])),
    ...(said?.details?.kind === undefined ? {} : { about: said.details.kind }),
    ...(seconds > 0 ? { retryAfter: Duration.seconds(seconds) } : {}),
    ...(advice === undefined ? {} : { advice })
  })
}

/** The first words of an answer that is not what was asked for: enough to recognize a login page. */
export const excerpt = (body: unknown): string => {
  const text = typeof body === "string" ? body : (JSON.stringify(body) ?? String(body))
  const line = text.replace(/\s+/g, " ").trim()
  return line === "" ? "an empty body" : line.length > 160 ? `${line.slice(0, 160)}...` : line
}

const isTerminating = (cause: { readonly reason?: string }) => cause.reason === "NamespaceTerminating"

const advise = (
  { reference, verb }: Answer,
  status: number,
  about: string | undefined,
  detail: string,
  terminating: boolean
): string | undefined => {
  if (status === 404 && about === "namespaces") {
    return `namespace ${JSON.stringify(reference.namespace ?? "")} does not exist: create it, or name another one`
  }
  if (status !== 403) return undefined
  if (terminating) return `namespace ${JSON.stringify(reference.namespace ?? "")} is being deleted`
  // Only authorization is answered so: quotas and admission webhooks say 403 in other words, and no Role helps there.
  const lacked = /\bcannot (\w+) resource\b/.exec(detail)?.[1]
  if (lacked === undefined) return undefined
  const where = reference.namespace === undefined ? "a ClusterRole" : `a Role in namespace "${reference.namespace}"`
  return `${where} with this rule would allow it: ${roleRule(reference, [lacked], verb)}`
}

/**
 * The rule of a Role that allows the verbs on the one object, or on all of a collection. A create that is sent as POST
 * carries no name, so no rule with a name allows it; every other verb, and a create that is sent as PUT, match by name.
 */
export const roleRule = (reference: Reference, verbs: ReadonlyArray<string>, sentAs: Verb): string => {
  const names =
    sentAs === "create" || !("name" in reference) ? "" : `resourceNames: [${JSON.stringify(reference.name)}], `
  return (
    `- {apiGroups: [${JSON.stringify(reference.group)}], resources: [${JSON.stringify(reference.plural)}], ` +
    `${names}verbs: [${verbs.map((verb) => JSON.stringify(verb)).join(", ")}]}`
  )
}
