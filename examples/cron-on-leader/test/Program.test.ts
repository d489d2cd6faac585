/** The program as it is started: real processes on an embedded API server, under the Role of the manifests and no more. */
import { LeaderStatus } from "@effect-leader/http"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { jobs } from "../src/jobs.ts"
import { name, rbac, rules } from "../src/manifests.ts"

describe("the manifests", () => {
  it("hold the Role that the program's parts say they need (else: pnpm manifests)", () => {
    assert.strictEqual(readFileSync(new URL("../manifests/rbac.yaml", import.meta.url), "utf8"), rbac)
  })
})

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "cron-on-leader-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Waits until it succeeds; a test that waits in vain ends by its own timeout. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.eventually(Effect.tapError(effect, () => Effect.sleep("50 millis")))

interface Place {
  readonly HOST: string
  readonly PORT?: string
  readonly POD_IP?: string
}

interface Replica {
  readonly get: typeof HttpClient.get
}

/** An address of this machine that is hardly another's, as no other process has this id. */
const own = `127.93.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`

const Log = Schema.Struct({ data: Schema.Record(Schema.String, Schema.String) })

describe("the program", () => {
  it.live("elects, keeps the log of its jobs, answers probes, and on SIGTERM hands over to the other replica", () =>
    Effect.gen(function* () {
      const server = yield* EmbeddedApiServer.EmbeddedApiServer
      const kubeconfig = join(yield* temporaryFolder, "config")
      yield* server.writeKubeconfig(kubeconfig, "pod")

      const start = Effect.fnUntraced(function* (pod: string, place: Place) {
        const child = yield* ChildProcess.make(
          process.execPath,
          [fileURLToPath(new URL("../src/main.ts", import.meta.url))],
          {
            env: { KUBECONFIG: kubeconfig, POD_NAME: pod, ...place },
            extendEnv: false,
            stdin: "ignore",
            forceKillAfter: "1 second"
          }
        )
        const listening = yield* Deferred.make<void>()
        const said: Array<string> = []
        yield* child.all.pipe(
          Stream.decodeText(),
          Stream.splitLines,
          Stream.runForEach((line) => {
            said.push(line)
            return line.includes("Listening on") ? Deferred.succeed(listening, undefined) : Effect.void
          }),
          Effect.andThen(Effect.suspend(() => Deferred.die(listening, new Error(said.join("\n"))))),
          Effect.forkScoped
        )
        yield* Deferred.await(listening)
        const get: Replica["get"] = (path, options) =>
          HttpClient.get(`http://${place.HOST}:${place.PORT ?? 8080}${path}`, options)
        return { child, get }
      })
      // The candidate itself is asked: the server knows of a term before the answer to its claim has reached the winner.
      const leads = ({ get }: Replica) =>
        get("/", { acceptJson: true }).pipe(
          Effect.flatMap(HttpClientResponse.schemaBodyJson(LeaderStatus.Status)),
          Effect.filterOrFail(({ role }) => role === "Leading"),
          eventually
        )

      const a = yield* start("a", { HOST: "127.0.0.1", PORT: String(yield* freePort) })
      yield* leads(a)
      // Without a port, on an address that has 8080 free.
      const b = yield* start("b", { HOST: own, POD_IP: own })
      yield* eventually(Effect.filterOrFail(b.get("/readyz"), ({ status }) => status === 200))
      assert.strictEqual((yield* a.get("/healthz")).status, 200)
      assert.include(yield* (yield* a.get("/metrics")).text, `leader_election_master_status{name="default/${name}"} 1`)
      assert.include(yield* (yield* b.get("/")).text, name)

      const known = Effect.map(server.store.get("configmaps", "default", name), (log) =>
        Object.keys(
          Option.match(Option.flatMap(log, Schema.decodeUnknownOption(Log)), {
            onNone: () => ({}),
            onSome: ({ data }) => data
          })
        )
      )
      yield* eventually(Effect.filterOrFail(known, ({ length }) => length === jobs.length))

      yield* a.child.kill()
      const status = yield* leads(b)
      assert.strictEqual(status.leader?.address, `${own}:8080`)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        EmbeddedApiServer.layer({
          users: { pod: { name } },
          rbac: { [name]: rules.map((rule) => ({ ...rule, namespace: "default" })) }
        })
      ),
      Effect.provide(Layer.merge(NodeServices.layer, NodeHttpClient.layerUndici))
    )
  )
})
