/**
 * Routes on a real server of this machine.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import type { Duration } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { createServer } from "node:http"

export interface Server {
  readonly url: string
  /** As a candidate publishes it. */
  readonly address: string
  /** Ends the routes and the server, as a program's end does. */
  readonly close: Effect.Effect<void>
}

export type Make = Parameters<typeof NodeHttpServer.layer>[0]

/** A server that listens, and answers nothing before it is told to serve. */
export const listen = Effect.fnUntraced(function* (
  port = 0,
  gracefulShutdownTimeout: Duration.Input = "20 seconds",
  make: Make = createServer
) {
  const scope = yield* Scope.make()
  const context = yield* NodeHttpServer.layer(make, { host: "127.0.0.1", port, gracefulShutdownTimeout }).pipe(
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const url = NetAddress.formatUrlUnsafe(Context.get(context, HttpServer.HttpServer).address)
  const serve = (routes: Layer.Layer<never, never, HttpRouter.HttpRouter>): Effect.Effect<Server> =>
    HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provide(Layer.succeedContext(context)),
      Layer.buildWithScope(scope),
      Effect.as({ url, address: new URL(url).host, close: Scope.close(scope, Exit.void) })
    )
  return { url, address: new URL(url).host, serve }
})

export const start = (routes: Layer.Layer<never, never, HttpRouter.HttpRouter>) =>
  Effect.flatMap(listen(), (server) => server.serve(routes))
