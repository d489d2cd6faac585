/**
 * An answer that stays what it is but for its body.
 */
import * as HttpBody from "effect/http/HttpBody"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Stream from "effect/Stream"

/** What streams, streams otherwise. */
export const streaming = (
  response: HttpServerResponse.HttpServerResponse,
  change: (stream: Stream.Stream<Uint8Array, unknown>) => Stream.Stream<Uint8Array, unknown>
) => {
  const { body } = response
  if (body._tag !== "Stream") return response
  const changed = HttpBody.stream(change(body.stream), body.contentType, body.contentLength)
  return asDescribed(HttpServerResponse.setBody(response, changed), response)
}

/** A change of the body, or the removal of a header, puts the body's own type and length over those that were set. */
export const asDescribed = (
  response: HttpServerResponse.HttpServerResponse,
  { headers }: HttpServerResponse.HttpServerResponse
) => {
  const { "content-length": length, "content-type": type } = headers
  return HttpServerResponse.setHeaders(response, {
    ...(type === undefined ? {} : { "content-type": type }),
    ...(length === undefined ? {} : { "content-length": length })
  })
}
