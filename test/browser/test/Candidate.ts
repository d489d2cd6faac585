/**
 * A candidate with its status page, whose election and server end separately.
 */
import { LeaderElection, type LeaseLock } from "@effect-leader/core"
import { LeaderStatus } from "@effect-leader/http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import { createServer } from "node:http"

const timings = { leaseDuration: "3 seconds", renewDeadline: "2 seconds", retryPeriod: "500 millis" } as const

/** Competes for the lock until it is closed. */
export const start = Effect.fnUntraced(function* (lock: Context.Context<LeaseLock.LeaseLock>, identity: string) {
  const scope = yield* Scope.make()
  const election = yield* LeaderElection.layer({ identity, address: "127.0.0.1:8080", ...timings }).pipe(
    Layer.provide(Layer.succeedContext(lock)),
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  return { ...Context.get(election, LeaderElection.LeaderElection), context: election, close }
})

/** Shows it. */
export const serve = Effect.fnUntraced(function* (
  election: Context.Context<LeaderElection.LeaderElection>,
  port: number
) {
  const scope = yield* Scope.make()
  const server = yield* HttpRouter.serve(LeaderStatus.layer(), { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerServer(createServer, { host: "127.0.0.1", port })),
    Layer.provide(Layer.succeedContext(election)),
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  return { url: NetAddress.formatUrlUnsafe(Context.get(server, HttpServer.HttpServer).address), close }
})
