/**
 * The body of a request on its way to the leader: kept when it is small, so that it can be sent again; else passed through
 * as it comes, and sent again only if none of it was taken.
 */
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpServerError } from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as KeptRequest from "./KeptRequest.ts"

export interface RequestBody {
  readonly body: HttpBody.HttpBody
  readonly canRepeat: () => boolean
  /** What a handler here is given from now on, if none of the body was passed through. */
  readonly request: HttpServerRequest
}

/** What had come is gone, and nobody has kept it: to send on what is left would be another request. */
export class AlreadyRead extends Schema.TaggedError<AlreadyRead>()("AlreadyRead", {}) {}

/**
 * Whether there is none for certain. Only HTTP/1 has to announce a body (RFC 9112, 6.3): HTTP/2 says with the headers whether
 * anything follows, and a web `Request` has one or not, each without a header for it.
 */
export const isAbsent = ({ headers, source }: HttpServerRequest): boolean => {
  const length = headers["content-length"]
  if (Predicate.hasProperty(source, "httpVersionMajor")) {
    if (length !== undefined) return lengthOf(headers) === 0
    if (source.httpVersionMajor === 1) return headers["transfer-encoding"] === undefined
    return (
      Predicate.hasProperty(source, "stream") &&
      Predicate.hasProperty(source.stream, "endAfterHeaders") &&
      source.stream.endAfterHeaders === true
    )
  }
  return Predicate.hasProperty(source, "body") ? source.body === null : lengthOf(headers) === 0
}

export const of = (
  request: HttpServerRequest,
  maxBufferedBody: number
): Effect.Effect<RequestBody, HttpServerError | AlreadyRead> => {
  if (isAbsent(request)) return Effect.succeed({ body: HttpBody.empty, canRepeat: () => true, request })
  const type = request.headers["content-type"]
  const length = lengthOf(request.headers)
  if (wasReadInPart(request)) return Effect.fail(new AlreadyRead())
  const mustBeKept = wasRead(request)
  if (mustBeKept || (length !== undefined && length <= maxBufferedBody)) {
    // The limit for it is ours, and the leader's handler has its own.
    const whole = Effect.provideService(request.arrayBuffer, HttpIncomingMessage.MaxBodySize, undefined)
    return Effect.flatMap(whole, (bytes) =>
      (length === undefined ? bytes.byteLength > 0 : bytes.byteLength === length)
        ? Effect.succeed({
            body: HttpBody.uint8Array(new Uint8Array(bytes), type),
            canRepeat: () => true,
            request: KeptRequest.make(request, bytes)
          })
        : Effect.fail(new AlreadyRead())
    ).pipe((kept) => (mustBeKept ? Effect.mapError(kept, () => new AlreadyRead()) : kept))
  }
  let wasTaken = false
  const bytes = Stream.suspend(() => {
    wasTaken = true
    return request.stream
  })
  return Effect.succeed({ body: HttpBody.stream(bytes, type, length), canRepeat: () => !wasTaken, request })
}

/** By a middleware that came before, as one that checks a signature. A request keeps what is asked of it as text or bytes. */
const wasRead = ({ source }: HttpServerRequest): boolean =>
  (Predicate.hasProperty(source, "readableDidRead") && source.readableDidRead === true) ||
  (Predicate.hasProperty(source, "bodyUsed") && source.bodyUsed === true)

/** As by one that looked at its first bytes: the rest may look whole. */
const wasReadInPart = (request: HttpServerRequest): boolean =>
  wasRead(request) && Predicate.hasProperty(request.source, "readableEnded") && request.source.readableEnded === false

/**
 * A WebSocket handshake that announces a body. Node takes what follows such a head for the new protocol, so that whoever reads
 * the body finds an empty one.
 */
export const isUnreadable = (request: HttpServerRequest): boolean =>
  Predicate.hasProperty(request.source, "upgrade") &&
  request.source.upgrade === true &&
  request.headers["upgrade"]?.toLowerCase() === "websocket" &&
  !isAbsent(request)

const lengthOf = (headers: HttpServerRequest["headers"]): number | undefined => {
  const length = headers["content-length"] ?? ""
  return /^\d+$/.test(length) && Number.isSafeInteger(Number(length)) ? Number(length) : undefined
}
