/**
 * Candidates whose routes only the leader handles, each on a server of its own.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { LeaderElection, Term } from "@effect-leader/core"
import { Effect, Layer, type Duration } from "effect"
import type { HttpClient, HttpRouter } from "effect/http"
import { createServer, type Socket } from "node:net"
import { LeaderForwarding } from "../src/index.ts"
import * as ScriptedElection from "./ScriptedElection.ts"
import * as Server from "./Server.ts"

/** Routes of which nothing but the leader may handle a request. */
export type Handlers = Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Requires", Term.Term<LeaderElection.LeaderElection>>
  | HttpRouter.Request<"Error", Term.NotLeading>
>

interface Own {
  /** Undici's unless given. */
  readonly client?: Layer.Layer<HttpClient.HttpClient>
  readonly gracefulShutdownTimeout?: Duration.Input
  /** Of HTTP/1 unless given. */
  readonly makeServer?: Server.Make
}

export const start = Effect.fnUntraced(function* (
  identity: string,
  handlers: Handlers,
  { gracefulShutdownTimeout, makeServer, ...options }: LeaderForwarding.Options & Own = {}
) {
  const server = yield* Server.listen(0, gracefulShutdownTimeout, makeServer)
  const scripted = yield* ScriptedElection.make(identity, server.address)
  return { ...scripted, ...(yield* server.serve(routes(handlers, scripted, options))) }
})

/** Of a candidate that some other server, or none, serves. */
export const routes = (
  handlers: Handlers,
  { layer }: ScriptedElection.Scripted,
  { client = NodeHttpClient.layerUndici, ...options }: LeaderForwarding.Options & Pick<Own, "client"> = {}
) =>
  handlers.pipe(
    Layer.provide(LeaderForwarding.layer(options)),
    Layer.provide(layer),
    Layer.provide(Layer.fresh(client))
  )

/** A peer that answers no request as it should: does so with each connection once a request came. */
export const brokenPeer = (onRequest: (socket: Socket) => void) =>
  Effect.gen(function* () {
    let requests = 0
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.once("data", () => {
        requests++
        onRequest(socket)
      })
    })
    yield* Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { address: `127.0.0.1:${port}`, requests: () => requests }
  })

/** An address that nobody listens at. */
export const deadAddress = Effect.scoped(
  Effect.map(
    brokenPeer(() => {}),
    ({ address }) => address
  )
)
