/**
 * The requests of the node agent: JSON in, JSON out, as the administrator.
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** The API server said no, or nothing that makes sense. */
export class ApiError extends Schema.TaggedError<ApiError>()("ApiError", {
  request: Schema.String,
  status: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `${this.request}: ${this.status} ${this.detail}`
  }
}

export type Failure = ApiError | HttpClientError

export interface Api {
  readonly get: (path: string) => Effect.Effect<unknown, Failure>
  readonly post: (path: string, body: object) => Effect.Effect<unknown, Failure>
  /** A JSON merge patch. */
  readonly patch: (path: string, body: object) => Effect.Effect<unknown, Failure>
  readonly remove: (path: string, body: object) => Effect.Effect<unknown, Failure>
  /** The events of a watch, until the server ends it. */
  readonly watch: (path: string) => Stream.Stream<WatchEvent, Failure | Schema.SchemaError>
}

const WatchEvent = Schema.Struct({ type: Schema.String, object: Schema.Unknown })
export type WatchEvent = typeof WatchEvent.Type

const decodeLine = Schema.decodeUnknownEffect(Schema.fromJsonString(WatchEvent))

export const make = (http: HttpClient.HttpClient): Api => {
  const send = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.gen(function* () {
      const response = yield* http.execute(request)
      if (response.status >= 200 && response.status < 300) return response
      const detail = (yield* response.text).slice(0, 500)
      return yield* new ApiError({ request: `${request.method} ${request.url}`, status: response.status, detail })
    })
  const json = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(send(request), (response) => response.json).pipe(
      Effect.timeout("10 seconds"),
      Effect.catchTag("TimeoutError", () =>
        Effect.fail(
          new ApiError({ request: `${request.method} ${request.url}`, status: 0, detail: "no answer in 10 s" })
        )
      )
    )
  return {
    get: (path) => json(HttpClientRequest.get(path)),
    post: (path, body) => json(HttpClientRequest.post(path).pipe(HttpClientRequest.bodyJsonUnsafe(body))),
    patch: (path, body) =>
      json(
        HttpClientRequest.patch(path).pipe(
          HttpClientRequest.bodyText(JSON.stringify(body), "application/merge-patch+json")
        )
      ),
    remove: (path, body) => json(HttpClientRequest.delete(path).pipe(HttpClientRequest.bodyJsonUnsafe(body))),
    watch: (path) =>
      Stream.unwrap(Effect.map(send(HttpClientRequest.get(path)), (response) => response.stream)).pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.filter((line) => line !== ""),
        Stream.mapEffect((line) => decodeLine(line))
      )
  }
}
