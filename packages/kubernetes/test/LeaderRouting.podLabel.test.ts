import { assert, describe, it } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import { LeaderRouting } from "../src/index.ts"
import { until } from "./EmbeddedLock.ts"
import { cluster, settle, type Cluster } from "./RoutedCandidates.ts"

/** As the documentation of the layer lists them. */
const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "update", "watch"] }]

const routing = LeaderRouting.layerPodLabel()
const role = "effect-leader.dev/role"

const labelsOf = (stage: Cluster, name: string) =>
  Effect.map(stage.object("pods", `pod-${name}`), ({ metadata }) => metadata.labels ?? {})
const isLeader = (stage: Cluster, name: string) =>
  Effect.map(labelsOf(stage, name), (labels) => labels[role] === "leader")
const enters = (stage: Cluster, name: string) =>
  until(Effect.map(labelsOf(stage, name), (labels) => labels["effect-leader.dev/candidate"] === "true"))

/** Puts something on a pod, behind everybody's back. */
const edit = (stage: Cluster, name: string, labels: object, annotations: object = {}) =>
  Effect.gen(function* () {
    const { metadata, ...rest } = yield* stage.object("pods", `pod-${name}`)
    yield* stage.server.store.put("pods", "default", {
      ...rest,
      metadata: {
        name: `pod-${name}`,
        labels: { ...metadata.labels, ...labels },
        annotations: { ...metadata.annotations, ...annotations }
      }
    })
  })

describe("layerPodLabel", () => {
  it.live("the leader's pod has the label, and all else on every pod stays", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const a = yield* stage.start("a", { routing })
      yield* until(isLeader(stage, "a"))
      yield* stage.start("b", { routing })
      yield* enters(stage, "b")
      yield* a.election.resign
      yield* until(isLeader(stage, "b"))
      assert.deepStrictEqual(yield* labelsOf(stage, "a"), { app: "reports", "effect-leader.dev/candidate": "true" })
      assert.deepStrictEqual(yield* labelsOf(stage, "c"), { app: "reports" })
      const b = yield* stage.object("pods", "pod-b")
      assert.deepStrictEqual(b.metadata.labels, {
        app: "reports",
        "effect-leader.dev/candidate": "true",
        [role]: "leader"
      })
      assert.strictEqual(b.metadata.annotations?.["team"], "books")
      assert.strictEqual(b.metadata.annotations?.[`${role}-lock`], "default/reports")
      assert.property(b.spec, "containers")
      assert.deepStrictEqual(b["status"], { phase: "Running" })
    })
  )

  it.live("a leader whose pod is gone gives the lock back to one that can be reached", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      yield* stage.start("a", { routing })
      yield* until(isLeader(stage, "a"))
      yield* stage.start("b", { routing })
      yield* enters(stage, "b")
      yield* stage.server.store.delete("pods", "default", "pod-a")
      yield* until(isLeader(stage, "b"))
    })
  )

  it.live("at the end of a term the label is gone before the lock is given back", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      let atRelease: boolean | undefined
      const onRelease = Effect.map(isLeader(stage, "a"), (value) => {
        atRelease = value
      })
      const a = yield* stage.start("a", { routing, onRelease })
      yield* until(isLeader(stage, "a"))
      yield* a.close
      assert.strictEqual(atRelease, false)
    })
  )

  it.live(
    "a leader that crashed keeps its label until the next leader takes it off, before it labels its own pod",
    () =>
      Effect.gen(function* () {
        const stage = yield* cluster(rules)
        const a = yield* stage.start("a", { routing })
        yield* until(isLeader(stage, "a"))
        yield* a.cutFromLock
        yield* a.proxy.inject({ fault: FaultProxy.partition })
        yield* stage.start("b", { routing })
        let both = 0
        yield* until(
          Effect.gen(function* () {
            const [one, other] = [yield* isLeader(stage, "a"), yield* isLeader(stage, "b")]
            if (one && other) both += 1
            return other
          })
        )
        assert.strictEqual(both, 0)
        assert.isFalse(yield* isLeader(stage, "a"))
      })
  )

  it.live("a stale leader's late write to its own pod is refused", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const a = yield* stage.start("a", { routing })
      yield* until(isLeader(stage, "a"))
      const before = (yield* stage.writes("a", "pods")).length
      const held = yield* a.proxy.inject({ on: { method: "PUT" }, fault: FaultProxy.hold })
      yield* edit(stage, "a", { [role]: "none" })
      yield* held.untilHit
      yield* a.cutFromLock
      yield* stage.start("b", { routing })
      yield* until(isLeader(stage, "b"))
      const hits = yield* held.hits
      yield* held.heal
      yield* until(Effect.map(stage.writes("a", "pods"), (writes) => writes.length >= before + hits))
      yield* settle
      const late = (yield* stage.writes("a", "pods")).slice(before)
      assert.deepStrictEqual(
        late.map(({ status }) => status),
        late.map(() => 409)
      )
      assert.isFalse(yield* isLeader(stage, "a"))
      assert.isTrue(yield* isLeader(stage, "b"))
    })
  )

  it.live("a label that a former process of the pod left is taken off at the start, by who does not lead", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      yield* edit(stage, "b", { [role]: "leader" }, { [`${role}-lock`]: "default/reports", [`${role}-token`]: "0" })
      const a = yield* stage.start("a", { routing })
      yield* until(a.election.isLeader)
      yield* stage.start("b", { routing })
      yield* enters(stage, "b")
      assert.isFalse(yield* isLeader(stage, "b"))
    })
  )

  it.live("pods of other elections, and of nobody, are left alone", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const others = { [role]: "leader", "effect-leader.dev/candidate": "true" }
      yield* edit(stage, "b", others, { [`${role}-lock`]: "default/payments", [`${role}-token`]: "1" })
      yield* edit(stage, "c", others)
      const before = [yield* stage.object("pods", "pod-b"), yield* stage.object("pods", "pod-c")]
      const a = yield* stage.start("a", { routing })
      yield* until(isLeader(stage, "a"))
      yield* until(Effect.map(a.isRouted, (value) => value === 1))
      assert.deepStrictEqual([yield* stage.object("pods", "pod-b"), yield* stage.object("pods", "pod-c")], before)
    })
  )

  it.live("a label that somebody takes off the leader's pod is put on again", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      yield* stage.start("a", { routing })
      yield* until(isLeader(stage, "a"))
      yield* edit(stage, "a", { [role]: "" })
      yield* until(isLeader(stage, "a"))
    })
  )

  it.live("label and value can be others, with a program of several elections in mind", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      yield* stage.start("a", { routing: LeaderRouting.layerPodLabel({ label: "books.example/writer", value: "yes" }) })
      yield* until(Effect.map(labelsOf(stage, "a"), (labels) => labels["books.example/writer"] === "yes"))
      const { annotations } = (yield* stage.object("pods", "pod-a")).metadata
      assert.property(annotations, "books.example/writer-token")
    })
  )
})
