/**
 * Runs an effect when the server begins to close, before it waits for the requests that are under way. A response that is
 * meant to go on for ever ends then, instead of holding the shutdown up until it is cut. All such effects of one server
 * begin together.
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
  if (Option.isNone(served)) return yield* Effect.addFinalizer(() => effect)
  const effects = effectsOf(served.value)
  effects.add(effect)
  // If the server never served.
  yield* Effect.addFinalizer(() => (effects.delete(effect) ? effect : Effect.void))
})

const effectsOf = (server: HttpServer.HttpServer["Service"]): Set<Effect.Effect<void>> => {
  const known = closing.get(server)
  if (known !== undefined) return known
  const effects = new Set<Effect.Effect<void>>()
  closing.set(server, effects)
  const { serve } = server
  const all = Effect.suspend(() => {
    const begun = [...effects]
    effects.clear()
    return Effect.forEach(begun, (effect) => effect, { concurrency: "unbounded", discard: true })
  })
  Object.assign(server, {
    serve: (...app: Parameters<typeof serve>) =>
      // The last finalizer is the first to run.
      Effect.andThen(
        serve(...app),
        Effect.addFinalizer(() => all)
      )
  })
  return effects
}

const closing = new WeakMap<HttpServer.HttpServer["Service"], Set<Effect.Effect<void>>>()
