/**
 * Runs an effect when the server begins to close, before it waits for the requests that are under way. A response that is
 * meant to go on for ever ends then, instead of holding the shutdown up until it is cut.
 *
 * No scope that a route can see closes so early: the routes are built before the server takes requests, so their scopes
 * close after it. That is why the server itself is told, for as long as the routes are there.
 */
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Option from "effect/Option"

export const run = Effect.fnUntraced(function* (effect: Effect.Effect<void>) {
  const served = yield* Effect.serviceOption(HttpServer.HttpServer)
  // A router without a server (as a web handler) closes with its routes.
  yield* Effect.addFinalizer(() => effect)
  if (Option.isNone(served)) return
  const server = served.value
  const { serve } = server
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      Object.assign(server, {
        serve: (...app: Parameters<typeof serve>) =>
          // The last finalizer is the first to run.
          Effect.andThen(
            serve(...app),
            Effect.addFinalizer(() => effect)
          )
      })
    ),
    () => Effect.sync(() => Object.assign(server, { serve }))
  )
})
