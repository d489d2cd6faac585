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
import * as Stream from "effect/Stream"
import * as KeptRequest from "./KeptRequest.ts"

export interface RequestBody {
  readonly body: HttpBody.HttpBody
  readonly canRepeat: () => boolean
  /** What a handler here is given from now on, if none of the body was passed through. */
  readonly request: HttpServerRequest
}

/**
 * Whether there is none for certain. Only HTTP/1 has to announce a body (RFC 9112, 6.3): HTTP/2 says with the headers whether
 * anything follows, and a web `Request` has one or not, each without a header for it.
 */
export const isAbsent = ({ headers, source }: HttpServerRequest): boolean => {
  const length = lengthOf(headers)
  if (length !== undefined) return length === 0
  if (Predicate.hasProperty(source, "body")) return source.body === null
  if (Predicate.hasProperty(source, "httpVersionMajor") && source.httpVersionMajor === 1) {
    return headers["transfer-encoding"] === undefined && headers["content-length"] === undefined
  }
  return (
    Predicate.hasProperty(source, "stream") &&
    Predicate.hasProperty(source.stream, "endAfterHeaders") &&
    source.stream.endAfterHeaders === true
  )
}

export const of = (
  request: HttpServerRequest,
  maxBufferedBody: number
): Effect.Effect<RequestBody, HttpServerError> => {
  if (isAbsent(request)) return Effect.succeed({ body: HttpBody.empty, canRepeat: () => true, request })
  const type = request.headers["content-type"]
  const length = lengthOf(request.headers)
  if (length !== undefined && length <= maxBufferedBody) {
    // The limit for it is ours, and the leader's handler has its own.
    const whole = Effect.provideService(request.arrayBuffer, HttpIncomingMessage.MaxBodySize, undefined)
    return Effect.map(whole, (bytes) => ({
      body: HttpBody.uint8Array(new Uint8Array(bytes), type),
      canRepeat: () => true,
      request: KeptRequest.make(request, bytes)
    }))
  }
  let wasTaken = false
  const bytes = Stream.suspend(() => {
    wasTaken = true
    return request.stream
  })
  return Effect.succeed({ body: HttpBody.stream(bytes, type, length), canRepeat: () => !wasTaken, request })
}

const lengthOf = (headers: HttpServerRequest["headers"]): number | undefined => {
  const length = Number(headers["content-length"])
  return Number.isSafeInteger(length) ? length : undefined
}
