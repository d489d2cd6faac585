/**
 * A resource that can be read and no more: GET and HEAD answer, any other method is told which do. Nothing may be kept by a
 * cache, since all of it is true only now.
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

type Response = HttpServerResponse.HttpServerResponse

export const add = (
  router: HttpRouter.HttpRouter,
  path: HttpRouter.PathInput,
  read: (request: HttpServerRequest) => Effect.Effect<Response>
) =>
  router.add("*", path, (request) => {
    switch (request.method) {
      case "GET":
      case "HEAD":
        return Effect.map(read(request), HttpServerResponse.setHeaders(always))
      case "OPTIONS":
        return Effect.succeed(HttpServerResponse.empty({ status: 204, headers: { ...always, allow } }))
      default:
        return Effect.succeed(
          HttpServerResponse.text(`${request.method} is not possible here: this can only be read\n`, {
            status: 405,
            headers: { ...always, allow }
          })
        )
    }
  })

const allow = "GET, HEAD, OPTIONS"
const always = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

/** Whether the client likes JSON better than what people read. By its `Accept` header; whoever takes anything is a person. */
export const prefersJson = (request: HttpServerRequest, other: "text/html" | "text/plain"): boolean => {
  const ranges = (request.headers["accept"] ?? "*/*").split(",").map(rangeOf)
  return qualityOf("application/json", ranges) > qualityOf(other, ranges)
}

interface Range {
  readonly type: string
  readonly quality: number
}

const rangeOf = (text: string): Range => {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase())
  const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2)
  return { type, quality: quality === undefined ? 1 : Number(quality) || 0 }
}

/** Of the most specific range that covers the type. */
const qualityOf = (type: string, ranges: ReadonlyArray<Range>): number =>
  [type, `${type.slice(0, type.indexOf("/"))}/*`, "*/*"]
    .map((pattern) => ranges.find((range) => range.type === pattern)?.quality)
    .find((quality) => quality !== undefined) ?? 0
