import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { connect } from "node:net"
import { ControlPlane } from "../src/ControlPlane.ts"

const namespace = "control-plane-test"
const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`

const Lease = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String, uid: Schema.String, resourceVersion: Schema.String })
})

interface Metadata {
  readonly name: string
  readonly uid?: string
  readonly resourceVersion?: string
}

const manifest = (metadata: Metadata, holderIdentity: string) =>
  JSON.stringify({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { ...metadata, namespace },
    spec: { holderIdentity, leaseDurationSeconds: 15 }
  })

const create = Effect.fnUntraced(function* (name: string) {
  const plane = yield* ControlPlane
  const printed = yield* plane.kubectl(["create", "--output=json", "--filename=-"], manifest({ name }, "creator"))
  return (yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Lease))(printed)).metadata
})

const put = (http: HttpClient.HttpClient, metadata: Metadata, holder = "writer") =>
  HttpClientRequest.put(`${leases}/${metadata.name}`).pipe(
    HttpClientRequest.bodyText(manifest(metadata, holder), "application/json"),
    http.execute,
    Effect.map((response) => response.status)
  )

const follow = (http: HttpClient.HttpClient, name: string) =>
  http.get(leases, { urlParams: { watch: "true", fieldSelector: `metadata.name=${name}` } })

const drain = (response: HttpClientResponse) => Effect.exit(Stream.runDrain(response.stream))

layer(
  ControlPlane.layer,
  // The first run builds the programs.
  { timeout: "15 minutes" }
)("a control plane", (it) => {
  it.effect("has a namespace", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      assert.include(yield* plane.kubectl(["create", "namespace", namespace]), "created")
    })
  )

  it.effect("keeps a Lease over a stop, a kill and a freeze of the API server", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      const { uid } = yield* create("kept")
      const uidNow = plane.kubectl([
        "get",
        "lease",
        "kept",
        `--namespace=${namespace}`,
        "--output=jsonpath={.metadata.uid}"
      ])

      yield* plane.stopApiServer
      yield* plane.startApiServer
      assert.strictEqual(yield* uidNow, uid)

      yield* plane.killApiServer
      yield* plane.startApiServer
      assert.strictEqual(yield* uidNow, uid)

      yield* plane.freezeApiServer
      yield* plane.thawApiServer
      assert.strictEqual(yield* uidNow, uid)
    })
  )

  it.effect("keeps a Lease over a restart of etcd", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      const { name, uid } = yield* create("kept-by-etcd")

      yield* plane.killEtcd
      yield* plane.startEtcd

      const printed = yield* plane.kubectl(["get", "lease", name, `--namespace=${namespace}`, "--output=json"])
      assert.include(printed, uid)
    })
  )

  it.effect("says that no API server runs", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      yield* plane.stopApiServer

      const error = yield* Effect.flip(plane.kubectl(["get", "namespaces"]))
      assert.include(error.stderr, "refused")

      yield* plane.startApiServer
    })
  )

  it.effect("gives a plain user no rights but those of a Role", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      const inNamespace = `--namespace=${namespace}`
      yield* plane.kubectl(["create", "role", "put", "--verb=create,update", "--resource=leases", inNamespace])
      yield* plane.kubectl(["create", "rolebinding", "put", "--role=put", "--user=limited", inNamespace])

      assert.strictEqual(yield* put(plane.client("limited"), { name: "by-role" }), 201)
      assert.strictEqual(yield* put(plane.client("stranger"), { name: "by-role" }), 403)
      const error = yield* Effect.flip(
        plane.kubectl(["get", "leases", inNamespace, "--kubeconfig", plane.kubeconfig("limited")])
      )
      assert.include(error.stderr, `User "limited" cannot list`)
    })
  )

  it.effect("re-creates a deleted Lease on a stale write without uid, and refuses one with uid", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      const { name, uid, resourceVersion } = yield* create("deleted")
      const admin = plane.client("admin")
      assert.strictEqual(yield* put(admin, { name, uid, resourceVersion }, "first"), 200)
      // A write that changes nothing would be answered 200 whatever its version.
      assert.strictEqual(yield* put(admin, { name, uid, resourceVersion }, "second"), 409)
      const remove = plane.kubectl(["delete", "lease", name, `--namespace=${namespace}`])

      yield* remove
      assert.strictEqual(yield* put(admin, { name, uid, resourceVersion }), 409)
      assert.strictEqual(yield* put(admin, { name, resourceVersion }), 201)
    })
  )

  it.effect("has every answered request in its audit log, with user, verb and user agent", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      for (let n = 0; n < 20; n++) {
        yield* put(plane.client("stranger"), { name: `denied-${n}` })
        const last = (yield* plane.audit).at(-1)
        assert.strictEqual(last?.objectRef?.name, `denied-${n}`)
        assert.strictEqual(last?.user.username, "stranger")
        assert.strictEqual(last?.verb, "update")
        assert.strictEqual(last?.stage, "ResponseComplete")
        assert.strictEqual(last?.responseStatus?.code, 403)
      }

      yield* create("audited")
      const created = (yield* plane.audit).filter((event) => event.objectRef?.name === "audited")
      assert.deepStrictEqual(
        created.map((event) => [event.verb, event.user.username]),
        [["create", "admin"]]
      )
      assert.match(created[0]?.userAgent ?? "", /^kubectl\//)
    })
  )

  it.effect("audits a watch when it opens and when it ends, and ends it when the API server stops", () =>
    Effect.gen(function* () {
      const plane = yield* ControlPlane
      const { name } = yield* create("watched")
      const stages = Effect.map(plane.audit, (events) =>
        events.filter((event) => event.verb === "watch" && event.objectRef?.name === name).map((event) => event.stage)
      )

      const watch = yield* follow(plane.client("admin"), name)
      assert.deepStrictEqual(yield* stages, ["ResponseStarted"])

      yield* Effect.all([plane.stopApiServer, drain(watch)], { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* stages, ["ResponseStarted", "ResponseComplete"])
      yield* plane.startApiServer
    })
  )
})

const processesOf = (folder: string) =>
  execFileSync("ps", ["-Ao", "args"], { encoding: "utf8" })
    .split("\n")
    .filter((args) => args.includes(folder))

const isOpen = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1")
    const end = (open: boolean) => {
      socket.destroy()
      resume(Effect.succeed(open))
    }
    socket.once("connect", () => end(true))
    socket.once("error", () => end(false))
  })

it.live("a control plane leaves nothing behind, not even when it was frozen", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { folder, ports } = yield* Effect.gen(function* () {
      const plane = yield* ControlPlane
      const ports = processesOf(plane.folder)
        .join()
        .matchAll(/127\.0\.0\.1:(\d+)/g)
      yield* Effect.all([plane.freezeApiServer, plane.freezeEtcd])
      return { folder: plane.folder, ports: new Set(Array.from(ports, (match) => Number(match[1]))) }
    }).pipe(Effect.provide(ControlPlane.layer))

    assert.strictEqual(ports.size, 3)
    for (const port of ports) assert.isFalse(yield* isOpen(port))
    assert.isFalse(yield* fs.exists(folder))
    assert.deepStrictEqual(processesOf(folder), [])
  }).pipe(Effect.provide(NodeServices.layer))
)
