/**
 * The body of a request on its way to the leader: kept when it is small, so that it can be sent again; else passed through
 * as it comes, and sent again only if none of it was taken.
 */
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import type { HttpServerError } from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"

export interface RequestBody {
  readonly body: HttpBody.HttpBody
  readonly canRepeat: () => boolean
}

export const isExpected = ({ headers }: HttpServerRequest): boolean =>
  headers["transfer-encoding"] !== undefined || (lengthOf(headers) ?? 0) > 0

export const of = (
  request: HttpServerRequest,
  maxBufferedBody: number
): Effect.Effect<RequestBody, HttpServerError> => {
  if (!isExpected(request)) return Effect.succeed({ body: HttpBody.empty, canRepeat: () => true })
  const type = request.headers["content-type"]
  const length = lengthOf(request.headers)
  if (length !== undefined && length <= maxBufferedBody) {
    return Effect.map(request.arrayBuffer, (bytes) => ({
      body: HttpBody.uint8Array(new Uint8Array(bytes), type),
      canRepeat: () => true
    }))
  }
  let wasTaken = false
  const bytes = Stream.suspend(() => {
    wasTaken = true
    return request.stream
  })
  return Effect.succeed({ body: HttpBody.stream(bytes, type, length), canRepeat: () => !wasTaken })
}

const lengthOf = (headers: HttpServerRequest["headers"]): number | undefined => {
  const length = headers["content-length"]
  return length === undefined ? undefined : Number(length)
}
