/**
 * Starts a server, leaves a watch and a paused request open, closes the scope. The process then ends by itself, unless
 * something was left behind.
 */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"

const watchAndAsk = Effect.gen(function* () {
  const server = yield* EmbeddedApiServer.EmbeddedApiServer
  const url = `${server.url}/apis/coordination.k8s.io/v1/namespaces/default/leases`
  const headers = { authorization: "Bearer admin" }
  yield* Effect.promise(() => fetch(`${url}?watch=true&allowWatchBookmarks=true`, { headers }))
  yield* server.pause
  yield* Effect.forkDetach(Effect.ignore(Effect.tryPromise(() => fetch(url, { headers }))))
  yield* server.requests.pipe(Effect.delay("5 millis"), Effect.repeat({ until: (served) => served.length > 1 }))
})

await Effect.runPromise(watchAndAsk.pipe(Effect.provide(EmbeddedApiServer.layer())))
