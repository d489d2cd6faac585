/**
 * What kube-proxy is to a person: for each Service with a port, a port of 127.0.0.1 from which connections go to an endpoint
 * that is ready.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { connect, createServer } from "node:net"
import type { Cluster } from "./Cluster.ts"
import type { Endpoint } from "./Services.ts"

const List = Schema.fromJsonString(
  Schema.Struct({
    items: Schema.Array(Schema.Struct({ metadata: Schema.Struct({ name: Schema.String, namespace: Schema.String }) }))
  })
)

/** Looks for new Services every second, and says where each is. */
export const run = Effect.fnUntraced(function* (cluster: Cluster["Service"]) {
  const known = new Set<string>(["default/kubernetes"])
  const look = Effect.gen(function* () {
    const { items } = yield* cluster
      .kubectl(["get", "services", "--all-namespaces", "--output=json"])
      .pipe(Effect.flatMap(Schema.decodeUnknownEffect(List)))
    for (const { metadata } of items) {
      const name = `${metadata.namespace}/${metadata.name}`
      if (known.has(name)) continue
      known.add(name)
      yield* forward(cluster, metadata.name, metadata.namespace)
    }
  })
  return yield* look.pipe(Effect.ignore, Effect.andThen(Effect.sleep("1 second")), Effect.forever)
}, Effect.scoped)

const forward = Effect.fnUntraced(function* (cluster: Cluster["Service"], service: string, namespace: string) {
  let ready: ReadonlyArray<Endpoint> = []
  yield* cluster.watchEndpoints(service, namespace).pipe(
    Stream.runForEach((now) =>
      Effect.sync(() => {
        ready = now
      })
    ),
    Effect.ignore,
    Effect.andThen(Effect.sleep("200 millis")),
    Effect.forever,
    Effect.forkScoped
  )
  let next = 0
  const server = createServer((socket) => {
    const endpoint = ready[next++ % Math.max(1, ready.length)]
    if (endpoint === undefined) return void socket.destroy()
    const onward = connect({ host: endpoint.host, port: endpoint.port })
    socket.on("error", () => onward.destroy())
    onward.on("error", () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close())
  )
  yield* Console.log(`Service ${namespace}/${service}: http://127.0.0.1:${port}`)
})
