import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { KubernetesClient, KubernetesLock } from "../src/index.ts"
import { startServer, taking, watchIsOpen, writeKubeconfig } from "./EmbeddedLock.ts"

const configMap: KubernetesClient.ObjectReference = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespace: "default",
  name: "settings"
}

const clientOn = Effect.fnUntraced(function* (server: Parameters<typeof writeKubeconfig>[0], token?: string) {
  const layer = KubernetesClient.layerKubeConfig(yield* writeKubeconfig(server, token))
  return yield* Effect.provide(KubernetesClient.KubernetesClient, yield* Layer.build(layer))
})

/** Runs with another value of an environment variable. */
const withVariable = (name: string, value: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env[name]
      process.env[name] = value
      return before
    }),
    (before) =>
      Effect.sync(() => {
        if (before === undefined) delete process.env[name]
        else process.env[name] = before
      })
  )

describe("the client", () => {
  it.live("creates, reads, replaces and watches objects of any kind, as raw JSON", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const client = yield* clientOn(server)
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { a: "1" } }
      const created = yield* client.create(configMap, object)
      assert.deepStrictEqual(created["data"], { a: "1" })
      assert.deepStrictEqual(yield* client.get(configMap), created)

      const next = yield* taking(client.watch(configMap, { resourceVersion: created.metadata.resourceVersion ?? "" }))
      yield* watchIsOpen(server)
      const updated = yield* client.update(configMap, { ...created, data: { a: "2" } })
      assert.deepStrictEqual(yield* next, { type: "MODIFIED", object: updated })

      const stale = yield* Effect.flip(client.update(configMap, { ...created, data: { a: "3" } }))
      assert.deepInclude(stale.reason, { _tag: "Refused", status: 409, reason: "Conflict" })
      const twice = yield* Effect.flip(client.create(configMap, object))
      assert.deepInclude(twice.reason, { _tag: "Refused", status: 409, reason: "AlreadyExists" })
    })
  )

  it.live("a watch without a version begins with the object as it is", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const client = yield* clientOn(server)
      yield* server.store.put("configmaps", "default", { metadata: { name: "settings" }, data: { a: "1" } })
      const [first] = yield* client.watch(configMap).pipe(Stream.take(1), Stream.runCollect)
      assert.strictEqual(first?.type, "ADDED")
      assert.deepStrictEqual(first?.object["data"], { a: "1" })
    })
  )

  it.live("says which rule of which Role would allow what was denied; a create has no name", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: { t: { name: "nobody" } }, rbac: {} })
      const client = yield* clientOn(server, "t")
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" } }
      const get = yield* Effect.flip(client.get(configMap))
      assert.include(
        get.message,
        `a Role in namespace "default" with this rule would allow it: - {apiGroups: [""], resources: ["configmaps"], resourceNames: ["settings"], verbs: ["get"]}`
      )
      const create = yield* Effect.flip(client.create(configMap, object))
      assert.include(create.message, `- {apiGroups: [""], resources: ["configmaps"], verbs: ["create"]}`)
    })
  )

  it.live("is found by KUBECONFIG, and carries the election's lock as the README shows", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* withVariable("KUBECONFIG", yield* writeKubeconfig(server))
      const layer = KubernetesLock.layerLease({ name: "reports" }).pipe(Layer.provideMerge(KubernetesClient.layer))
      const context = yield* Layer.build(layer)
      const { client, lock } = yield* Effect.provide(
        Effect.all({ client: KubernetesClient.KubernetesClient, lock: LeaseLock.LeaseLock }),
        context
      )
      assert.strictEqual(client.server, server.url)
      assert.strictEqual(client.namespace, "default")
      assert.strictEqual(lock.name, "default/reports")
      assert.strictEqual((yield* lock.read).version, "absent")
    })
  )

  it.live("a wrong kubeconfig fails the layer when it is built", () =>
    Effect.gen(function* () {
      yield* withVariable("KUBECONFIG", "/nonexistent/config")
      const error = yield* Effect.flip(Layer.build(KubernetesClient.layer))
      assert.strictEqual(error._tag, "KubeConfigError")
      assert.strictEqual(error.message, "kubeconfig /nonexistent/config: the file does not exist")
    })
  )
})

const client = Layer.succeed(
  KubernetesClient.KubernetesClient,
  KubernetesClient.KubernetesClient.of({
    server: "https://unused",
    namespace: "default",
    get: () => Effect.die("unused"),
    scope: Scope.makeUnsafe(),
    list: () => Effect.die("unused"),
    create: () => Effect.die("unused"),
    update: () => Effect.die("unused"),
    watch: () => Stream.die("unused")
  })
)

describe("the name of a lock", () => {
  it.effect.each<KubernetesLock.Options>([
    { name: "reports" },
    { name: "a" },
    { name: "my.app-2.leader" },
    { name: "a".repeat(253) },
    { name: "reports", namespace: "team-a" },
    { name: "reports", namespace: "n".repeat(63) }
  ])("%j is one", (options) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.provide(KubernetesLock.layerLease(options), client))
      const lock = yield* Effect.provide(LeaseLock.LeaseLock, context)
      assert.strictEqual(lock.name, `${options.namespace ?? "default"}/${options.name}`)
    })
  )

  it.effect.each<[KubernetesLock.Options, string]>([
    [{ name: "" }, `name ""`],
    [{ name: "Reports" }, `name "Reports"`],
    [{ name: "my_lock" }, `name "my_lock"`],
    [{ name: "-a" }, `name "-a"`],
    [{ name: "a-" }, `name "a-"`],
    [{ name: "a..b" }, `name "a..b"`],
    [{ name: "a/b" }, `name "a/b"`],
    [{ name: "a\n" }, `name "a\\n"`],
    [{ name: "a".repeat(254) }, `name "aaa`],
    [{ name: "reports", namespace: "" }, `namespace ""`],
    [{ name: "reports", namespace: "team.a" }, `namespace "team.a"`],
    [{ name: "reports", namespace: "n".repeat(64) }, `namespace "nnn`]
  ])("%j is none, by field, value and rule", ([options, said]) =>
    Effect.gen(function* () {
      const layer = Layer.provide(KubernetesLock.layerLease(options), client)
      const error = yield* Effect.flip(Layer.build(layer))
      assert.strictEqual(error._tag, "InvalidLockName")
      assert.include(error.message, said)
      assert.include(error.message, said.startsWith("name ") ? "RFC 1123 subdomain" : "RFC 1123 label")
    })
  )
})
