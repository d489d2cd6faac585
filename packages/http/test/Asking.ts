/**
 * Routes asked without a socket, in virtual time.
 */
import { Effect } from "effect"
import type { Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export const of = <E>(routes: Layer.Layer<never, E, HttpRouter.HttpRouter>) =>
  Effect.map(
    HttpRouter.toHttpEffect(routes),
    (handler) =>
      (path: string, init?: RequestInit): Effect.Effect<Answer> =>
        Effect.gen(function* () {
          const request = new Request(`http://test${path}`, init)
          const response = yield* Effect.orDie(
            Effect.scoped(handler).pipe(
              Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request))
            )
          )
          const web = HttpServerResponse.toWeb(response, { withoutBody: request.method === "HEAD" })
          return { status: web.status, headers: web.headers, text: yield* Effect.promise(() => web.text()) }
        })
  )

export const json = { headers: { accept: "application/json" } }
