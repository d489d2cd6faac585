/**
 * An answer whose body goes on for a while, and ends with the leadership that it was given under.
 */
import { Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"

/** A body that streams fails then, so that a part of it is not taken for the whole. */
export const when = (response: HttpServerResponse.HttpServerResponse, over: Effect.Effect<void>) => {
  const { body } = response
  if (body._tag !== "Stream") return response
  const cut = Effect.andThen(over, Effect.fail(new Term.NotLeading({ reason: "the term ended within the answer" })))
  const stream = Stream.interruptWhen(body.stream, cut)
  return asDescribed(
    HttpServerResponse.setBody(response, HttpBody.stream(stream, body.contentType, body.contentLength)),
    response
  )
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
