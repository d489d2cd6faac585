import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KubernetesClient } from "../src/index.ts"
import { startServer, writeKubeconfig } from "./EmbeddedLock.ts"
import { connect, kubeconfigOf, sendJson, serve, status } from "./OddServer.ts"

const pods: KubernetesClient.CollectionReference = {
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  namespace: "default"
}

const clientOn = Effect.fnUntraced(function* (server: Parameters<typeof writeKubeconfig>[0], token?: string) {
  const layer = KubernetesClient.layerKubeConfig(yield* writeKubeconfig(server, token))
  return yield* Effect.provide(KubernetesClient.KubernetesClient, yield* Layer.build(layer))
})

const namesOf = ({ items }: KubernetesClient.Listing) => items.map((item) => item.metadata.name)

describe("a list", () => {
  it.live("has the whole objects with their kind, and the version to watch from", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const client = yield* clientOn(server)
      assert.deepStrictEqual((yield* client.list(pods)).items, [])
      yield* server.store.put("pods", "default", { metadata: { name: "a" }, spec: { nodeName: "n" } })
      yield* server.store.put("pods", "kube-system", { metadata: { name: "elsewhere" } })
      const { items, resourceVersion } = yield* client.list(pods)
      assert.deepStrictEqual(items, [yield* client.get({ ...pods, name: "a" })])
      assert.strictEqual(resourceVersion, yield* server.store.version)
    })
  )

  it.live("without a namespace is of the whole cluster", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const client = yield* clientOn(server)
      yield* server.store.put("pods", "default", { metadata: { name: "here" } })
      yield* server.store.put("pods", "kube-system", { metadata: { name: "there" } })
      const { namespace: _, ...everywhere } = pods
      assert.sameMembers(namesOf(yield* client.list(everywhere)), ["here", "there"])
    })
  )

  it.live("takes label and field selectors as kubectl writes them", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const client = yield* clientOn(server)
      for (const [name, app, nodeName] of [
        ["a", "reports", "n1"],
        ["b", "reports", "n2"],
        ["c", "mailer", "n1"]
      ] as const) {
        yield* server.store.put("pods", "default", { metadata: { name, labels: { app } }, spec: { nodeName } })
      }
      assert.deepStrictEqual(namesOf(yield* client.list(pods, { labelSelector: "app=reports" })), ["a", "b"])
      assert.deepStrictEqual(namesOf(yield* client.list(pods, { labelSelector: "app in (mailer, x)" })), ["c"])
      assert.deepStrictEqual(namesOf(yield* client.list(pods, { fieldSelector: "spec.nodeName=n1" })), ["a", "c"])
      const both = { labelSelector: "app=reports", fieldSelector: "spec.nodeName=n1" }
      assert.deepStrictEqual(namesOf(yield* client.list(pods, both)), ["a"])
      const wrong = yield* Effect.flip(client.list(pods, { labelSelector: "app===" }))
      assert.deepInclude(wrong.reason, { _tag: "Refused", status: 400 })
      assert.include(wrong.message, `list pods in namespace "default" at ${server.url}: refused with 400`)
    })
  )

  it.live("that is not allowed says which rule would allow it", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: { t: { name: "nobody" } }, rbac: {} })
      const client = yield* clientOn(server, "t")
      const error = yield* Effect.flip(client.list(pods))
      assert.include(
        error.message,
        `a Role in namespace "default" with this rule would allow it: - {apiGroups: [""], resources: ["pods"], verbs: ["list"]}`
      )
    })
  )
})

const item = (name: string) => ({ metadata: { name } })

/** A server with these pages; `*` is the answer to a request without a limit. */
const paged = Effect.fnUntraced(function* (pages: { readonly [token: string]: object | number }) {
  const asked: Array<string> = []
  const server = yield* serve((request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams
    asked.push(query.toString())
    const page = pages[query.get("limit") === null ? "*" : (query.get("continue") ?? "")]
    if (typeof page === "object") sendJson(response, 200, { kind: "PodList", apiVersion: "v1", ...page })
    else sendJson(response, page ?? 500, status(page ?? 500, "Expired", "the continue token is too old"))
  })
  return { client: (yield* connect(kubeconfigOf({ server }))).client, asked }
})

describe("a list in pages", () => {
  it.live("is read to its end, with the selectors on every page", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* paged({
        "": { metadata: { resourceVersion: "7", continue: "x/y=" }, items: [item("a"), item("b")] },
        "x/y=": { metadata: { resourceVersion: "7", continue: "z" }, items: [item("c")] },
        z: { metadata: { resourceVersion: "7", continue: "" }, items: [item("d")] }
      })
      const listed = yield* client.list(pods, { labelSelector: "app=reports" })
      assert.deepStrictEqual(namesOf(listed), ["a", "b", "c", "d"])
      assert.deepStrictEqual(Object.keys(listed), ["items", "resourceVersion"])
      assert.strictEqual(listed.resourceVersion, "7")
      assert.deepStrictEqual(asked, [
        "labelSelector=app%3Dreports&limit=500",
        "labelSelector=app%3Dreports&limit=500&continue=x%2Fy%3D",
        "labelSelector=app%3Dreports&limit=500&continue=z"
      ])
    })
  )

  it.live("is asked for whole when its history is gone before the last page", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* paged({
        "": { metadata: { resourceVersion: "7", continue: "x" }, items: [item("a")] },
        x: 410,
        "*": { metadata: { resourceVersion: "9" }, items: [item("b"), item("c")] }
      })
      const listed = yield* client.list(pods)
      assert.deepStrictEqual([namesOf(listed), listed.resourceVersion], [["b", "c"], "9"])
      assert.deepStrictEqual(asked, ["limit=500", "limit=500&continue=x", ""])
    })
  )

  it.live("of nothing may be null, as Go writes an empty list", () =>
    Effect.gen(function* () {
      const { client } = yield* paged({ "": { metadata: { resourceVersion: "7" }, items: null } })
      assert.deepStrictEqual(yield* client.list(pods), { items: [], resourceVersion: "7" })
    })
  )

  it.live.each<[string, object]>([
    ["another kind", { kind: "ServiceList", metadata: { resourceVersion: "7" }, items: [] }],
    ["no items", { metadata: { resourceVersion: "7" } }],
    ["items that are no objects", { metadata: { resourceVersion: "7" }, items: [{ name: "a" }] }]
  ])("of %s is not taken", ([, page]) =>
    Effect.gen(function* () {
      const { client } = yield* paged({ "": page })
      const error = yield* Effect.flip(client.list(pods))
      assert.strictEqual(error.reason._tag, "NotKubernetes")
      assert.include(error.message, "a PodList was asked for, and ")
    })
  )
})
