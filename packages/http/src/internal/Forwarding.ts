/**
 * One request, sent on to the leader's address, and its answer. At most one hop: a request that says that it was forwarded
 * is never forwarded again.
 */
import type { LeaderElection } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Attempt from "./Attempt.ts"

const forwardedByHeader = "effect-leader-forwarded-by"

/** By a candidate of this election. Handlers hand on headers that they were sent, to what another election leads perhaps. */
export const wasForwarded = ({ headers }: HttpServerRequest, election: string): boolean =>
  (headers[forwardedByHeader] ?? "").split(",").some((by) => by.trim().endsWith(`@${encodeURIComponent(election)}`))

/** The same resource at the leader, if what it published is an address. */
export const urlAt = (address: string, request: HttpServerRequest): URL | undefined =>
  /^(?:\[[0-9A-Fa-f:.]+\]|[-.\w]+):\d{1,5}$/.test(address)
    ? (URL.parse(`http://${address}${targetOf(request)}`) ?? undefined)
    : undefined

/**
 * Whether the leader would be asked for what this candidate was asked for. A URL resolves `..`, also as `%2e%2e`, takes `\`
 * for `/`, and ends at `#`: another route might answer than the one that was admitted here.
 */
export const keepsItsPath = (request: HttpServerRequest): boolean => {
  const target = targetOf(request)
  const url = URL.parse(`http://leader${target}`)
  return url !== null && decoded(url.pathname + url.search) === decoded(target)
}

/**
 * As the request line has it: whole even where the router cut a prefix off. Not from `originalUrl`, which begins with what the
 * client wrote as its `Host`, a path perhaps.
 */
const targetOf = ({ originalUrl, source }: HttpServerRequest): string => {
  const asked = Predicate.hasProperty(source, "url") && typeof source.url === "string" ? source.url : originalUrl
  const target = asked.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#\\]*/i, "")
  return target.startsWith("/") ? target : `/${target}`
}

/** Percent signs aside, which a URL adds where it must. */
const decoded = (target: string): string => {
  const path = target.endsWith("?") ? target.slice(0, -1) : target
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) =>
    new TextDecoder().decode(Uint8Array.from(bytes.split("%").slice(1), (hex) => Number.parseInt(hex, 16)))
  )
}

export interface Delivery {
  readonly client: HttpClient.HttpClient
  readonly request: HttpServerRequest
  readonly body: HttpBody.HttpBody
  readonly leader: LeaderElection.Leader
  readonly url: URL
  /** Who forwards, in which election. */
  readonly by: { readonly identity: string; readonly election: string }
}

/** Sends it once. `canRepeat` is asked after a failure: whether the body can be sent again, and the request be repeated. */
export const send = (
  delivery: Delivery,
  canRepeat: { readonly body: () => boolean; readonly request: boolean }
): Effect.Effect<Attempt.Attempt> =>
  Effect.match(delivery.client.execute(toRequest(delivery)), {
    onSuccess: (response): Attempt.Attempt => {
      const { leader } = delivery
      switch (response.headers[Attempt.outcomeHeader]) {
        case Attempt.notDone:
          return {
            _tag: "NotDone",
            why: `${leader.identity} does not lead yet, or no more`,
            canRepeat: canRepeat.body()
          }
        case Attempt.inDoubt:
          return {
            _tag: "InDoubt",
            why: `${leader.identity} stopped leading before it answered`,
            canRepeat: canRepeat.request && canRepeat.body(),
            by: "peer"
          }
        default:
          return { _tag: "Answered", response: toResponse(response) }
      }
    },
    onFailure: (error): Attempt.Attempt => {
      const why = `${delivery.leader.identity} at ${delivery.url.host} did not answer (${detailOf(error)})`
      return wasNeverSent(error)
        ? { _tag: "NotDone", why, canRepeat: canRepeat.body() }
        : { _tag: "InDoubt", why, canRepeat: canRepeat.request && canRepeat.body(), by: "peer" }
    }
  })

const toRequest = ({ body, by, request, url }: Delivery): HttpClientRequest.HttpClientRequest => {
  const headers = Headers.setAll(Headers.removeMany(endToEnd(request.headers), ofOneRequest), {
    ...forwardedHeaders(request, by),
    // Not every client hands a compressed body on as it came.
    "accept-encoding": "identity"
  })
  const bare = HttpClientRequest.makeWith(request.method, url.href, UrlParams.empty, Option.none(), headers, emptyBody)
  if (body._tag === "Empty") return bare
  const whole = HttpClientRequest.setBody(bare, body)
  // A body has some type, whatever the client said of it.
  return request.headers["content-type"] === undefined ? HttpClientRequest.removeHeader(whole, "content-type") : whole
}

const emptyBody = HttpClientRequest.empty.body

/** The client names the host, and the length of what it sends. */
const ofOneRequest = ["host", "content-length", "expect", "accept-encoding"]

const forwardedHeaders = (request: HttpServerRequest, by: Delivery["by"]): Record<string, string> => {
  const { headers } = request
  const peer = Option.getOrUndefined(request.peerAddress)
  const before = headers["x-forwarded-for"]
  const earlier = headers[forwardedByHeader]
  const own = `${encodeURIComponent(by.identity)}@${encodeURIComponent(by.election)}`
  const host = headers["x-forwarded-host"] ?? headers["host"]
  return {
    ...(peer === undefined ? {} : { "x-forwarded-for": before === undefined ? peer : `${before}, ${peer}` }),
    ...(host === undefined ? {} : { "x-forwarded-host": host }),
    // Of every election on the way: else two of them could send it to and fro.
    [forwardedByHeader]: earlier === undefined ? own : `${earlier}, ${own}`,
    "x-forwarded-proto": headers["x-forwarded-proto"] ?? request.protocol ?? schemeOf(request)
  }
}

const schemeOf = ({ originalUrl }: HttpServerRequest) => (/^https:/i.test(originalUrl) ? "https" : "http")

const toResponse = (response: HttpClientResponse): HttpServerResponse.HttpServerResponse => {
  const answer = HttpServerResponse.fromClientResponse(response)
  const headers = Object.keys(endToEnd(response.headers))
  const dropped = Object.keys(answer.headers).filter((name) => !headers.includes(name))
  return dropped.reduce((kept, name) => HttpServerResponse.removeHeader(kept, name), answer)
}

/** Without those that are about one connection (RFC 9110, 7.6.1). */
const endToEnd = (headers: Headers.Headers): Headers.Headers => {
  const named = (headers["connection"] ?? "").split(",").map((name) => name.trim().toLowerCase())
  // Without its key a request that may be repeated is another one each time.
  return Headers.removeMany(headers, [...hopByHop, ...named.filter((name) => name !== "idempotency-key")])
}

const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
]

/** Only if no connection came about: anything later may have reached a handler. */
const wasNeverSent = (error: HttpClientError): boolean =>
  causesOf(error).some(
    (cause) =>
      (Predicate.hasProperty(cause, "syscall") && (cause.syscall === "connect" || cause.syscall === "getaddrinfo")) ||
      (Predicate.hasProperty(cause, "code") && cause.code === "UND_ERR_CONNECT_TIMEOUT")
  )

const detailOf = (error: HttpClientError): string => {
  const codes = causesOf(error).flatMap((cause) =>
    Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? [cause.code] : []
  )
  return codes[0] ?? error.message
}

/** The error, what caused it, what caused that, and those that an error stands for (as of several addresses). */
const causesOf = (error: unknown, depth = 0): ReadonlyArray<unknown> => {
  if (depth > 8 || error === undefined || error === null) return []
  const inner = [
    Predicate.hasProperty(error, "reason") ? error.reason : undefined,
    Predicate.hasProperty(error, "cause") ? error.cause : undefined,
    ...(Predicate.hasProperty(error, "errors") && Array.isArray(error.errors) ? error.errors : [])
  ]
  return [error, ...inner.flatMap((it) => causesOf(it, depth + 1))]
}
