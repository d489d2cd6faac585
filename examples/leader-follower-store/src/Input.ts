/**
 * What clients send, checked before anything is done with it. Each wrong field has a sentence that says what is right.
 */
import { ByteSize, Effect, Option, Schema } from "effect"
import { Headers, HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomUUID } from "node:crypto"
import { badRequest, Refusal } from "./Refusal.ts"
import type { Write } from "./Store.ts"

export const longestKey = 256
export const longestValue = 65_536
export const longestPage = 1000
const longestId = 128

interface Field {
  readonly schema: Schema.Codec<string>
  readonly rule: string
}

// PostgreSQL's text cannot have a NUL.
const key: Field = {
  schema: Schema.String.check(
    Schema.isMinLength(1),
    Schema.isMaxLength(longestKey),
    // oxlint-disable-next-line no-control-regex -- the character that is meant
    Schema.isPattern(/^[^\u0000]*$/)
  ),
  rule: `a key has 1 to ${longestKey} characters, none of them NUL`
}

const id: Field = {
  schema: Schema.String.check(Schema.isMaxLength(longestId), Schema.isPattern(/^[!-~]+$/)),
  rule: `Idempotency-Key has 1 to ${longestId} visible ASCII characters without spaces, such as a UUID`
}

const after: Field = {
  schema: Schema.String.check(Schema.isPattern(/^\d{1,15}$/)),
  rule: "after is a whole number from 0 on: the sequence number of the last entry you have"
}

const limit: Field = {
  schema: Schema.String.check(Schema.isPattern(/^[1-9]\d{0,2}$|^1000$/)),
  rule: `limit is a whole number from 1 to ${longestPage}`
}

const check = (field: Field, value: unknown): Effect.Effect<string, Refusal> =>
  Option.match(Schema.decodeUnknownOption(field.schema)(value), {
    onNone: () => Effect.fail(badRequest(field.rule)),
    onSome: (valid) => Effect.succeed(valid)
  })

/** The key that the path names. */
export const readKey: Effect.Effect<string, Refusal, HttpRouter.RouteContext> = Effect.flatMap(
  HttpRouter.params,
  (params) => check(key, params["key"])
)

/** The part of the log that the query names. */
export const readPage = Effect.gen(function* () {
  const params = yield* HttpServerRequest.ParsedSearchParams
  return {
    after: Number(yield* check(after, params["after"] ?? "0")),
    limit: Number(yield* check(limit, params["limit"] ?? "100"))
  }
})

/** The write that a PUT asks for. */
export const readWrite: Effect.Effect<Write, Refusal, HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext> =
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    return {
      key: yield* readKey,
      id: yield* check(id, request.headers[idHeader]),
      value: yield* readValue(request)
    }
  })

const readValue = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const bytes = yield* request.arrayBuffer.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(longestValue)),
    Effect.mapError(({ reason }) =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? new Refusal({ status: 413, message: `a value has at most ${longestValue} bytes` })
        : badRequest("the body could not be read to its end")
    )
  )
  const text = yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    catch: () => badRequest("a value is text in UTF-8, and this is not")
  })
  return text.includes("\u0000") ? yield* badRequest("a value has no NUL character") : text
})

const idHeader = "idempotency-key"

/** The answer to a write says under which id it may be sent again. */
export const named =
  ({ headers, method }: HttpServerRequest.HttpServerRequest) =>
  (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
    const id = headers[idHeader]
    return method === "PUT" && id !== undefined ? HttpServerResponse.setHeader(response, idHeader, id) : response
  }

/**
 * What happens to every request first. Paths are refused that the router would take for others: it ends them at a
 * semicolon, and finds none whose percent signs make no sense. And a write without an id gets one, before it is sent on to
 * the leader, which may happen more than once.
 */
export const admit = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const [path = ""] = request.url.split(/[?#]/)
  if (path.includes(";")) return yield* badRequest("a semicolon in a path is written %3B")
  yield* Effect.try({
    try: () => decodeURIComponent(path),
    catch: () => badRequest("the path is not percent-encoded UTF-8; a percent sign itself is written %25")
  })
  return request.method === "PUT" && request.headers[idHeader] === undefined
    ? request.modify({ headers: Headers.set(request.headers, idHeader, randomUUID()) })
    : request
})
