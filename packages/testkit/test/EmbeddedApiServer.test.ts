/**
 * What the embedded server offers beyond the API: access from within, how clients find it, its beginning and its end.
 */
import { assert, describe, it } from "@effect/vitest"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import { connect } from "node:tls"
import * as ApiClient from "./ApiClient.ts"
import { client, holderOf, live, reports, Server } from "./embedded.ts"
import { lease, leases } from "./semantics/leases.ts"

const leasesOf = (namespace: string): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`

describe("what tests see and do from within", () => {
  live(
    "objects put into the store are served, and watches see them",
    Effect.gen(function* () {
      const { store } = yield* Server
      const { ask, watch } = yield* client
      const first = yield* store.put("leases", "default", reports("a"))
      const events = yield* watch(`${leases}?watch=true&resourceVersion=${first.metadata.resourceVersion}`)
      assert.strictEqual((yield* ask("GET", `${leases}/reports`)).status, 200)
      yield* store.put("leases", "default", reports("b"))
      assert.strictEqual(holderOf(yield* events.next), "b")
      assert.isTrue(yield* store.delete("leases", "default", "reports"))
      assert.strictEqual((yield* events.next).type, "DELETED")
      assert.isFalse(yield* store.delete("leases", "default", "reports"))
      assert.deepStrictEqual(yield* store.get("leases", "default", "reports"), Option.none())
    })
  )

  live(
    "what clients write is in the store, and a put that breaks a rule fails as over HTTP",
    Effect.gen(function* () {
      const { store } = yield* Server
      const { ask } = yield* client
      yield* ask("POST", leases, { body: lease("reports", { holderIdentity: "a" }) })
      const stored = yield* Effect.flatMap(store.get("leases", "default", "reports"), Effect.fromOption)
      assert.deepStrictEqual(stored.spec, { holderIdentity: "a" })
      assert.strictEqual(yield* store.version, stored.metadata.resourceVersion)
      const bad = { metadata: { name: "reports" }, spec: { leaseDurationSeconds: 0 } }
      const failure = yield* Effect.flip(store.put("leases", "default", bad))
      assert.strictEqual(failure.code, 422)
      assert.strictEqual((yield* store.list("leases", "default")).length, 1)
    })
  )

  live(
    "the request log counts requests and tells connections apart",
    Effect.gen(function* () {
      const { requests } = yield* Server
      const first = yield* client
      const second = yield* client
      for (let round = 0; round < 3; round++) {
        yield* first.ask("PUT", `${leases}/a${round}`, { body: lease(`a${round}`) })
      }
      yield* second.ask("GET", `${leases}/absent?resourceVersion=0`)
      yield* second.ask("GET", leases, { token: "wrong" })
      const served = (yield* requests).map(({ connection, method, path, query, status, user }) => ({
        connection,
        method,
        path,
        query,
        status: Option.getOrUndefined(status),
        user: Option.getOrUndefined(user)
      }))
      assert.deepStrictEqual(served, [
        ...["a0", "a1", "a2"].map((name) => ({
          connection: 1,
          method: "PUT",
          path: `${leases}/${name}`,
          query: {},
          status: 201,
          user: "admin"
        })),
        {
          connection: 2,
          method: "GET",
          path: `${leases}/absent`,
          query: { resourceVersion: "0" },
          status: 404,
          user: "admin"
        },
        { connection: 2, method: "GET", path: leases, query: {}, status: 401, user: undefined }
      ])
    })
  )

  live(
    "users and rules can change while the server runs",
    Effect.gen(function* () {
      const { setRbac, setUsers } = yield* Server
      const { ask } = yield* client
      yield* setUsers({ other: { name: "other" } })
      assert.strictEqual((yield* ask("GET", leases)).status, 401)
      assert.strictEqual((yield* ask("GET", leases, { token: "other" })).status, 200)
      yield* setRbac({})
      assert.strictEqual((yield* ask("GET", leases, { token: "other" })).status, 403)
    })
  )

  live(
    "no token is asked for where users are anyone",
    Effect.gen(function* () {
      const { kubeconfig } = yield* Server
      const { ask } = yield* client
      const made = yield* ask("POST", leases, { token: null, body: lease("reports") })
      assert.strictEqual(made.status, 201)
      assert.notInclude(kubeconfig(), "token")
    }),
    { users: "anyone" }
  )

  live(
    "the namespaces of the options exist and can be added to",
    Effect.gen(function* () {
      const { ask } = yield* client
      const body = lease("reports")
      assert.strictEqual((yield* ask("POST", leasesOf("default"), { body })).status, 404)
      assert.strictEqual((yield* ask("POST", leasesOf("team"), { body })).status, 201)
      yield* ask("POST", "/api/v1/namespaces", { body: { metadata: { name: "more" } } })
      assert.strictEqual((yield* ask("POST", leasesOf("more"), { body })).status, 201)
      yield* ask("DELETE", "/api/v1/namespaces/more")
      assert.strictEqual((yield* ask("GET", `${leasesOf("more")}/reports`)).status, 404)
    }),
    { namespaces: ["team"] }
  )
})

describe("how clients find it", () => {
  live(
    "the kubeconfig names server, user and token, and is written for its owner only",
    Effect.gen(function* () {
      const { kubeconfig, url, writeKubeconfig } = yield* Server
      const config: unknown = JSON.parse(kubeconfig("b"))
      assert.strictEqual(ApiClient.at(config, "clusters.0.cluster.server"), url)
      assert.strictEqual(ApiClient.at(config, "contexts.0.context.namespace"), "default")
      assert.deepStrictEqual(ApiClient.at(config, "users"), [{ name: "bob", user: { token: "b" } }])
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => Fs.mkdtemp(Path.join(Os.tmpdir(), "testkit-"))),
        (folder) => Effect.promise(() => Fs.rm(folder, { recursive: true }))
      )
      const file = Path.join(folder, "kubeconfig")
      yield* writeKubeconfig(file)
      assert.strictEqual(yield* Effect.promise(() => Fs.readFile(file, "utf8")), kubeconfig("a"))
      assert.strictEqual((yield* Effect.promise(() => Fs.stat(file))).mode & 0o777, 0o600)
    }),
    { users: { a: { name: "alice" }, b: { name: "bob" } } }
  )

  live(
    "its certificate is good for 127.0.0.1 and for localhost, under the CA of the kubeconfig",
    Effect.gen(function* () {
      const { ca, kubeconfig, url } = yield* Server
      const inConfig = ApiClient.textAt(JSON.parse(kubeconfig()), "clusters.0.cluster.certificate-authority-data")
      assert.strictEqual(Buffer.from(inConfig, "base64").toString(), Option.getOrThrow(ca))
      const port = Number(new URL(url).port)
      for (const name of [{}, { servername: "localhost" }]) {
        const authorized = yield* Effect.callback<boolean, Error>((resume) => {
          const socket = connect({ port, host: "127.0.0.1", ca: Option.getOrThrow(ca), ...name }, () => {
            resume(Effect.succeed(socket.authorized))
            socket.destroy()
          })
          socket.on("error", (error) => resume(Effect.fail(error)))
        })
        assert.isTrue(authorized)
      }
    }),
    { tls: true }
  )

  live(
    "clients that discover the API find the kinds it serves",
    Effect.gen(function* () {
      const { ask } = yield* client
      const group = yield* ask("GET", "/apis/coordination.k8s.io/v1")
      assert.strictEqual(ApiClient.at(group.body, "resources.0.name"), "leases")
      assert.strictEqual(ApiClient.at((yield* ask("GET", "/api")).body, "versions.0"), "v1")
      const groups = ApiClient.at((yield* ask("GET", "/apis")).body, "groups.0.preferredVersion.groupVersion")
      assert.strictEqual(groups, "coordination.k8s.io/v1")
      assert.match(ApiClient.textAt((yield* ask("GET", "/version")).body, "gitVersion"), /^v1\.36\./)
    })
  )
})

describe("its beginning and its end", () => {
  it.live("a port that is taken is a ListenError with the port", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const port = Number(new URL(url).port)
      const error = yield* Effect.flip(Layer.build(EmbeddedApiServer.layer({ port })))
      assert.strictEqual(error.port, port)
      assert.include(error.message, "EADDRINUSE")
    }).pipe(Effect.scoped, Effect.provide(EmbeddedApiServer.layer()))
  )

  for (const tls of [false, true]) {
    it.live(`closing the scope ends watches, paused requests and sockets at once, tls ${tls}`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(EmbeddedApiServer.layer({ tls }), scope)
        const { pause, requests } = yield* Effect.provide(Server, context)
        const { ask, watch } = yield* Effect.provide(client, context)
        const events = yield* watch(`${leases}?watch=true`)
        yield* pause
        const waiting = yield* Effect.forkScoped(Effect.flip(ask("GET", leases)))
        yield* requests.pipe(Effect.delay("5 millis"), Effect.repeat({ until: (served) => served.length > 1 }))
        const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
        assert.isBelow(Duration.toSeconds(took), 2)
        assert.isFalse(yield* events.ended)
        yield* Fiber.join(waiting)
        assert.include((yield* Effect.flip(ask("GET", leases))).message, "ECONNREFUSED")
      }).pipe(Effect.scoped)
    )
  }

  it.live("after its scope nothing keeps the process alive", () =>
    Effect.gen(function* () {
      const program = Path.join(import.meta.dirname, "processes/startAndStop.ts")
      const exitCode = yield* Effect.callback<number | null>((resume) => {
        const child = spawn(process.execPath, [program], { stdio: "inherit" })
        child.once("exit", (code) => resume(Effect.succeed(code)))
        return Effect.sync(() => child.kill())
      })
      assert.strictEqual(exitCode, 0)
    })
  )
})
