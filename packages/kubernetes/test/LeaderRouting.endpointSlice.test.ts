import { assert, describe, it } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { LeaderRouting } from "../src/index.ts"
import { until } from "./EmbeddedLock.ts"
import { cluster, settle, type Cluster } from "./RoutedCandidates.ts"

const group = { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"] }
const byName = { ...group, resourceNames: ["reports-leader"], verbs: ["get", "update", "watch"] }

/** As the documentation of the layer lists them. */
const rules = [byName, { ...group, verbs: ["create"] }]

const routing = LeaderRouting.layerEndpointSlice({ service: "reports", ports: [{ port: 8080 }] })

const slice = ({ object }: Cluster) => object("endpointslices", "reports-leader")
const addresses = (stage: Cluster): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(stage.server.store.get("endpointslices", "default", "reports-leader"), (found) =>
    Option.match(found, {
      onNone: () => ["no EndpointSlice"],
      onSome: ({ endpoints }) =>
        ((endpoints ?? []) as ReadonlyArray<{ readonly addresses: ReadonlyArray<string> }>).flatMap(
          (it) => it.addresses
        )
    })
  )
const routes = (stage: Cluster, ...wanted: ReadonlyArray<string>) =>
  until(Effect.map(addresses(stage), (found) => found.join() === wanted.join()))

const manifest = (more: object = {}, labels: object = {}) => ({
  metadata: { name: "reports-leader", labels: { team: "books", ...labels } },
  addressType: "IPv4",
  endpoints: [],
  ports: [],
  ...more
})

describe("layerEndpointSlice", () => {
  it.live("the slice is made when it is absent, and holds the leader's address only", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const a = yield* stage.start("a", { routing, pod: { node: "node-1" } })
      yield* routes(stage, "10.0.0.97")
      const { metadata, ...rest } = yield* slice(stage)
      const { uid } = (yield* stage.object("pods", "pod-a")).metadata
      assert.deepStrictEqual(rest, {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        addressType: "IPv4",
        endpoints: [
          {
            addresses: ["10.0.0.97"],
            conditions: { ready: true },
            targetRef: { kind: "Pod", namespace: "default", name: "pod-a", uid },
            nodeName: "node-1"
          }
        ],
        ports: [{ name: "", port: 8080, protocol: "TCP" }]
      })
      assert.deepStrictEqual(metadata.labels, {
        "kubernetes.io/service-name": "reports",
        "endpointslice.kubernetes.io/managed-by": "effect-leader.dev"
      })
      yield* stage.start("b", { routing })
      yield* a.election.resign
      yield* routes(stage, "10.0.0.98")
      assert.strictEqual((yield* slice(stage)).metadata.uid, metadata.uid)
    })
  )

  it.live("one that the manifest brings is filled without the right to create, and keeps its labels", () =>
    Effect.gen(function* () {
      const stage = yield* cluster([byName])
      yield* stage.server.store.put("endpointslices", "default", manifest({ endpoints: null }))
      yield* stage.start("a", { routing })
      yield* routes(stage, "10.0.0.97")
      assert.strictEqual((yield* slice(stage)).metadata.labels?.["team"], "books")
    })
  )

  it.live("it is emptied before the lock is given back", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      let atRelease: ReadonlyArray<string> | undefined
      const onRelease = Effect.map(addresses(stage), (value) => {
        atRelease = value
      })
      const a = yield* stage.start("a", { routing, onRelease })
      yield* routes(stage, "10.0.0.97")
      yield* a.close
      assert.deepStrictEqual(atRelease, [])
    })
  )

  it.live("a stale leader's late write is refused", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const a = yield* stage.start("a", { routing })
      yield* routes(stage, "10.0.0.97")
      const before = (yield* stage.writes("a", "endpointslices")).length
      const held = yield* a.proxy.inject({ on: { method: ["PUT", "POST"] }, fault: FaultProxy.hold })
      yield* stage.server.store.put("endpointslices", "default", manifest())
      yield* held.untilHit
      yield* a.cutFromLock
      yield* stage.start("b", { routing })
      yield* routes(stage, "10.0.0.98")
      const hits = yield* held.hits
      yield* held.heal
      yield* until(Effect.map(stage.writes("a", "endpointslices"), (writes) => writes.length >= before + hits))
      yield* settle
      const late = (yield* stage.writes("a", "endpointslices")).slice(before)
      assert.deepStrictEqual(
        late.map(({ status }) => status),
        late.map(() => 409)
      )
      assert.deepStrictEqual(yield* addresses(stage), ["10.0.0.98"])
    })
  )

  it.live("what others change or delete is put right", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      yield* stage.start("a", { routing })
      yield* routes(stage, "10.0.0.97")
      yield* stage.server.store.put("endpointslices", "default", manifest())
      yield* routes(stage, "10.0.0.97")
      assert.strictEqual((yield* slice(stage)).metadata.labels?.["team"], "books")
      yield* stage.server.store.delete("endpointslices", "default", "reports-leader")
      yield* routes(stage, "10.0.0.97")
    })
  )

  it.live("one that was deleted by the time of the end is not made again", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const a = yield* stage.start("a", { routing })
      yield* routes(stage, "10.0.0.97")
      yield* stage.server.setRbac({ a: [] })
      yield* stage.server.store.delete("endpointslices", "default", "reports-leader")
      yield* until(Effect.sync(() => a.logs.some((line) => line.includes("cannot route"))))
      yield* stage.server.setRbac({ a: [byName] })
      yield* a.close
      assert.deepStrictEqual(yield* addresses(stage), ["no EndpointSlice"])
    })
  )

  it.live.each<[string, object, string]>([
    [
      "of another manager",
      manifest({}, { "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" }),
      "is managed by endpointslice-controller.k8s.io"
    ],
    ["for other addresses", manifest({ addressType: "IPv6" }), "is for IPv6 addresses"]
  ])("one %s is left alone, and that is said", ([, object, words]) =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      yield* stage.server.store.put("endpointslices", "default", object as ReturnType<typeof manifest>)
      const a = yield* stage.start("a", { routing })
      yield* until(Effect.sync(() => a.logs.some((line) => line.includes("cannot route") && line.includes(words))))
      assert.deepStrictEqual(yield* addresses(stage), [])
      assert.strictEqual((yield* stage.writes("a", "endpointslices")).length, 0)
    })
  )
})
