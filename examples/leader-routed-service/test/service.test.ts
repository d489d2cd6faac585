import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { Identity } from "@effect-leader/kubernetes"
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Scope } from "effect"
import { HttpClient } from "effect/http"
import { createServer } from "node:http"
import { createServer as createProbe } from "node:net"
import * as Service from "../src/Service.ts"

const freePort = Effect.callback<number>((resume) => {
  const probe = createProbe().listen(0, "127.0.0.1", () => {
    const address = probe.address()
    probe.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A replica in this process, until `stop`. */
const start = Effect.fnUntraced(function* (name: string) {
  const port = yield* freePort
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Service.layer.pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port, gracefulShutdownTimeout: "1 second" })),
    Layer.provide(NodeHttpClient.layerUndici),
    Layer.provide(LeaderElection.layer({ identity: name, address: `127.0.0.1:${port}` })),
    Layer.provide(Identity.layerOf({ name, namespace: "default" })),
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  const get = (path: string) =>
    Effect.flatMap(HttpClient.get(`http://127.0.0.1:${port}${path}`), (response) =>
      Effect.map(response.text, (body) => ({ status: response.status, body, token: response.headers["leader-token"] }))
    )
  return { get, stop: Scope.close(scope, Exit.void) }
})

describe("the service", () => {
  it.live("is answered by the leader, whoever is asked, and by the next one when the leader ends", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* Effect.retry(
        Effect.filterOrFail(a.get("/"), ({ status }) => status === 200),
        Schedule.spaced("10 millis")
      )
      const b = yield* start("b")
      const first = yield* b.get("/")
      assert.strictEqual(first.body, "a\n")
      assert.strictEqual((yield* b.get("/readyz")).status, 200)
      assert.include((yield* b.get("/status")).body, "memory")

      yield* a.stop
      const next = yield* b.get("/")
      assert.strictEqual(next.body, "b\n")
      assert.isAbove(Number(next.token), Number(first.token))
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(LeaseLock.layerMemory(), NodeHttpClient.layerUndici)))
  )
})
