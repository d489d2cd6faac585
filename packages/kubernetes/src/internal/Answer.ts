/**
 * What came back from the API server, or what came instead of it.
 */
import * as Effect from "effect/Effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"
import { excerpt, NotKubernetes, refused, Unreachable, type Refused, type Verb } from "../KubernetesError.ts"
import {
  isKubernetesObject,
  type CollectionReference,
  type KubernetesObject,
  type Reference
} from "../KubernetesObject.ts"

/** The response, if its status is a success. */
export const successful = (
  verb: Verb,
  reference: Reference,
  response: HttpClientResponse
): Effect.Effect<HttpClientResponse, Refused | NotKubernetes | Unreachable> => {
  if (response.status >= 200 && response.status < 300) return Effect.succeed(response)
  if (response.status >= 400) return Effect.flatMap(refusalOf(verb, reference, response), Effect.fail)
  // An API server never redirects such a request: a proxy sends to its login.
  const detail = `status ${response.status}, location ${response.headers["location"] ?? "(none)"}`
  return Effect.andThen(bodyOf(response), Effect.fail(new NotKubernetes({ detail })))
}

export const refusalOf = (verb: Verb, reference: Reference, response: HttpClientResponse) =>
  Effect.map(bodyOf(response), (body) =>
    refused({ verb, reference, status: response.status, retryAfter: response.headers["retry-after"], body })
  )

/** The whole body. It is read of every answer, so that the connection can be used again. */
export const bodyOf = (response: HttpClientResponse): Effect.Effect<string, Unreachable> =>
  Effect.tap(Effect.mapError(response.text, unreachable), nextTurn)

// undici takes a connection back one turn after its response. Who asks again sooner pays for another connection, with a
// handshake, and leaves one more that may die in the pool.
const nextTurn = Effect.callback<void>((resume) => {
  const waiting = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(waiting))
})

/** The object that was asked for. */
export const readObject = (
  reference: CollectionReference,
  text: string
): Effect.Effect<KubernetesObject, NotKubernetes> => {
  const wrong = Effect.fail(
    new NotKubernetes({ detail: `a ${reference.kind} was asked for, and ${excerpt(text)} came` })
  )
  return Effect.try({ try: (): unknown => JSON.parse(text), catch: () => undefined }).pipe(
    Effect.matchEffect({
      onFailure: () => wrong,
      onSuccess: (value) => (isKubernetesObject(value) && value.kind === reference.kind ? Effect.succeed(value) : wrong)
    })
  )
}

export const isJson = (response: HttpClientResponse): boolean =>
  (response.headers["content-type"] ?? "").toLowerCase().includes("json")

export const unreachable = (error: HttpClientError): Unreachable => {
  const { reason } = error
  const cause = "cause" in reason ? reason.cause : undefined
  const code = codeOf(cause)
  // A connection that was tried at several addresses fails with an empty message and a code.
  const said = cause instanceof Error && cause.message !== "" ? cause.message : (code ?? error.message)
  const detail = code === undefined || said.includes(code) ? said : `${code}: ${said}`
  return new Unreachable({ detail, ...(code === undefined ? {} : { code }) })
}

const codeOf = (cause: unknown): string | undefined => {
  if (!Predicate.isObject(cause)) return undefined
  if ("code" in cause && typeof cause.code === "string") return cause.code
  return "cause" in cause ? codeOf(cause.cause) : undefined
}
