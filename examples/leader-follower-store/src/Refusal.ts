/**
 * The answers of requests that were not carried out: a status, and a sentence for whoever sent it.
 */
import { Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"

export class Refusal extends Schema.TaggedError<Refusal>()("Refusal", {
  status: Schema.Literals([400, 404, 413, 422, 503]),
  message: Schema.String
}) {}

/** What this request asks for cannot be right. */
export const badRequest = (message: string) => new Refusal({ status: 400, message })

/** The same request may well succeed in a moment. */
export const tryAgain = (message: string) => new Refusal({ status: 503, message })

export const refuse = ({ message, status }: Refusal): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.succeed(
    HttpServerResponse.jsonUnsafe({ error: message }, { status, headers: status === 503 ? { "retry-after": "1" } : {} })
  )
