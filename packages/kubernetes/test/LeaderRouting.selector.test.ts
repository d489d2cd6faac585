import { assert, describe, it } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { LeaderRouting } from "../src/index.ts"
import { until } from "./EmbeddedLock.ts"
import { cluster, settle, type Candidate, type Cluster } from "./RoutedCandidates.ts"

/** As the documentation of the layer lists them. */
const rules = [
  { apiGroups: [""], resources: ["services"], resourceNames: ["reports"], verbs: ["get", "update", "watch"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "update"] }
]

const routing = LeaderRouting.layerServiceSelector({ service: "reports" })

const service = (selector: object = { app: "reports" }) => ({
  metadata: { name: "reports", labels: { team: "books" }, annotations: { note: "keep" } },
  spec: { selector, clusterIP: "10.96.0.7", ports: [{ port: 80, targetPort: 8080 }], newerField: { a: 1 } },
  status: { loadBalancer: {} }
})

const withService = Effect.gen(function* () {
  const stage = yield* cluster(rules)
  yield* stage.server.store.put("services", "default", service())
  return stage
})

const leadingTerm = ({ election }: Candidate) =>
  Effect.flatMap(SubscriptionRef.get(election.leadership), (it) =>
    it._tag === "Leading" ? Effect.succeed(it.term) : Effect.fail(it._tag)
  )

const specOf = ({ object }: Cluster) =>
  Effect.map(object("services", "reports"), ({ spec }) => spec as ReturnType<typeof service>["spec"])
const selected = (stage: Cluster): Effect.Effect<string | undefined> =>
  Effect.map(specOf(stage), ({ selector }) => (selector as { pod?: string }).pod)
const selects = (stage: Cluster, pod: string) => until(Effect.map(selected(stage), (it) => it === pod))

const nobody = "nobody.effect-leader.dev"

describe("layerServiceSelector", () => {
  it.live("the Service selects the leader's pod, follows a handover, and keeps all else", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      const a = yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      yield* stage.start("b", { routing })
      yield* a.election.resign
      yield* selects(stage, "pod-b")

      const { metadata, ...rest } = yield* stage.object("services", "reports")
      const { spec, status } = service({ app: "reports", pod: "pod-b" })
      assert.deepStrictEqual(rest, { apiVersion: "v1", kind: "Service", spec, status })
      assert.deepStrictEqual(metadata.labels, { team: "books" })
      const { note, ...marks } = metadata.annotations ?? {}
      assert.strictEqual(note, "keep")
      assert.strictEqual(marks["effect-leader.dev/routing-lock"], "default/reports")
      assert.isTrue(BigInt(marks["effect-leader.dev/routing-token"] ?? "0") > 1n)

      for (const name of ["a", "b"]) {
        const pod = yield* stage.object("pods", `pod-${name}`)
        assert.deepStrictEqual(pod.metadata.labels, { app: "reports", pod: `pod-${name}` })
        assert.deepStrictEqual(pod.metadata.annotations, { team: "books" })
        assert.property(pod.spec, "containers")
      }
      assert.strictEqual((yield* stage.object("pods", "pod-c")).metadata.labels?.["pod"], undefined)
    })
  )

  it.live.each(["close", "resign"] as const)("on %s the traffic is taken away before the lock is given back", (how) =>
    Effect.gen(function* () {
      const stage = yield* withService
      let atRelease: string | undefined
      const onRelease = Effect.map(selected(stage), (value) => {
        atRelease = value
      })
      const a = yield* stage.start("a", { routing, onRelease })
      yield* selects(stage, "pod-a")
      yield* until(Effect.map(a.isRouted, (value) => value === 1))
      yield* how === "close" ? a.close : a.election.resign
      assert.strictEqual(atRelease, nobody)
      if (how === "close") assert.strictEqual(yield* a.isRouted, 0)
    })
  )

  it.live("a stale leader's late write is refused, and it writes nothing more", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      const a = yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      const before = (yield* stage.writes("a", "services")).length
      // Its next writes are on the way for long: a repair, and what it writes at its end.
      const held = yield* a.proxy.inject({ on: { method: "PUT", path: "/services/" }, fault: FaultProxy.hold })
      yield* stage.server.store.put("services", "default", service({ app: "reports", pod: "x" }))
      yield* held.untilHit
      yield* a.cutFromLock
      yield* stage.start("b", { routing })
      yield* selects(stage, "pod-b")
      const { metadata } = yield* stage.object("services", "reports")

      const hits = yield* held.hits
      yield* held.heal
      yield* until(Effect.map(stage.writes("a", "services"), (writes) => writes.length >= before + hits))
      yield* settle
      const late = (yield* stage.writes("a", "services")).slice(before)
      assert.deepStrictEqual(
        late.map(({ status }) => status),
        late.map(() => 409)
      )
      assert.strictEqual(
        (yield* stage.object("services", "reports")).metadata.resourceVersion,
        metadata.resourceVersion
      )
    })
  )

  it.live("a selector that somebody resets is repaired, at once and again", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      const a = yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      for (const reset of [{ app: "reports" }, { app: "reports", pod: nobody }, { app: "renamed" }]) {
        yield* stage.server.store.put("services", "default", service(reset))
        yield* selects(stage, "pod-a")
        assert.strictEqual((yield* specOf(stage)).selector["app" as never], reset.app)
      }
      // The marks were reset, too, and are there again.
      const { annotations } = (yield* stage.object("services", "reports")).metadata
      assert.property(annotations, "effect-leader.dev/routing-token")
      assert.isTrue(
        a.logs.some((line) => line.includes(`services "reports" in namespace "default" was changed by somebody`))
      )
    })
  )

  it.live("who resets it all the time is answered with more and more patience", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      const from = yield* Clock.monotonicTimeNanos
      for (let reset = 0; reset < 5; reset++) {
        yield* stage.server.store.put("services", "default", service())
        yield* selects(stage, "pod-a")
      }
      const millis = Number((yield* Clock.monotonicTimeNanos) - from) / 1e6
      // Four fifths of 0.2, 0.4 and 0.8 seconds at the least.
      assert.isAtLeast(millis, 1120)
    })
  )

  it.live("a change of something else is left as it is, without a write", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      const { metadata, ...rest } = yield* stage.object("services", "reports")
      const before = (yield* stage.writes("a", "services")).length
      const labels = { team: "sales" }
      yield* stage.server.store.put("services", "default", {
        ...rest,
        metadata: { name: "reports", labels, ...(metadata.annotations ? { annotations: metadata.annotations } : {}) }
      })
      yield* settle
      assert.strictEqual((yield* stage.writes("a", "services")).length, before)
      assert.deepStrictEqual((yield* stage.object("services", "reports")).metadata.labels, labels)
    })
  )

  it.live("a Service that does not exist is said once, and routed when it appears; the leader stays leader", () =>
    Effect.gen(function* () {
      const stage = yield* cluster(rules)
      const a = yield* stage.start("a", { routing })
      const said = () => a.logs.filter((line) => line.includes("cannot route"))
      yield* until(Effect.sync(() => said().length > 0))
      yield* Effect.sleep("1 second")
      assert.strictEqual(said().length, 1)
      assert.include(said()[0], `services "reports" in namespace "default"`)
      assert.include(said()[0], "404 NotFound")
      assert.isTrue(yield* a.election.isLeader)
      assert.strictEqual(yield* a.isRouted, 0)
      yield* stage.server.store.put("services", "default", service())
      yield* selects(stage, "pod-a")
      yield* until(Effect.map(a.isRouted, (value) => value === 1))
    })
  )

  it.live("a right that is missing is said with the rule that would give it, before it leads", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      yield* stage.server.setRbac({ a: rules.slice(0, 1) })
      const a = yield* stage.start("a", { routing })
      yield* until(Effect.sync(() => a.logs.some((line) => line.includes("cannot route"))))
      const said = a.logs.find((line) => line.includes("cannot route"))
      assert.include(said, `resources: ["pods"]`)
      assert.include(said, `verbs: ["get"]`)
      yield* stage.server.setRbac({ a: rules })
      yield* selects(stage, "pod-a")
    })
  )

  it.live("a Service that was deleted and made again is routed again", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      yield* stage.server.store.delete("services", "default", "reports")
      yield* settle
      yield* stage.server.store.put("services", "default", service())
      yield* selects(stage, "pod-a")
    })
  )

  it.live("a dead API server does not hold the handover up", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      let isReleased = false
      const onRelease = Effect.sync(() => {
        isReleased = true
      })
      const a = yield* stage.start("a", { routing, onRelease })
      yield* selects(stage, "pod-a")
      yield* a.proxy.inject({ fault: FaultProxy.partition })
      yield* a.close
      assert.isTrue(isReleased)
      assert.isTrue(a.logs.some((line) => line.includes("could not take the traffic")))
      // And the next leader needs nobody's help.
      yield* stage.start("b", { routing })
      yield* selects(stage, "pod-b")
    })
  )

  it.live("a connection that breaks at the end does not keep the traffic there", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      const a = yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      yield* a.proxy.inject({ on: { method: "PUT", times: 1 }, fault: FaultProxy.reset() })
      yield* a.close
      assert.strictEqual(yield* selected(stage), nobody)
    })
  )

  it.live("after a loss the traffic is taken away while nobody else leads yet", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      const a = yield* stage.start("a", { routing })
      yield* selects(stage, "pod-a")
      yield* a.cutFromLock
      yield* selects(stage, nobody)
      assert.isTrue(Option.isSome((yield* stage.lock.read).record))
    })
  )

  it.live("a pod of the same name that is another one is left alone", () =>
    Effect.gen(function* () {
      const stage = yield* withService
      const a = yield* stage.start("a", { routing, pod: { uid: "of-a-former-pod" } })
      yield* until(Effect.sync(() => a.logs.some((line) => line.includes(`pod "pod-a" is another one now`))))
      assert.strictEqual((yield* stage.object("pods", "pod-a")).metadata.labels?.["pod"], undefined)
      yield* stage.start("b", { routing })
      yield* selects(stage, "pod-b")
    })
  )

  it.live(
    "a pod that was never found is no reason to give the lock back: other candidates look for theirs there too",
    () =>
      Effect.gen(function* () {
        const stage = yield* withService
        const a = yield* stage.start("a", { routing, pod: { name: "misnamed" } })
        yield* until(Effect.sync(() => a.logs.some((line) => line.includes(`pods "misnamed" not found`))))
        const { token } = yield* leadingTerm(a)
        yield* settle
        assert.strictEqual((yield* leadingTerm(a)).token, token)
      })
  )

  it.live(
    "a candidate whose pod is gone, and that nobody takes the lock from, resigns less and less, and says so once",
    () =>
      Effect.gen(function* () {
        const stage = yield* withService
        const a = yield* stage.start("a", { routing })
        yield* selects(stage, "pod-a")
        const terms = () => a.logs.filter((line) => line.includes("became leader")).length
        assert.strictEqual(terms(), 1)
        const from = yield* Clock.monotonicTimeNanos
        yield* stage.server.store.delete("pods", "default", "pod-a")
        yield* stage.server.store.put("services", "default", service())
        yield* until(Effect.sync(() => terms() === 4))
        // The first time at once, then after one second and after two.
        assert.isAtLeast(Number((yield* Clock.monotonicTimeNanos) - from) / 1e6, 2999)
        assert.strictEqual(a.logs.filter((line) => line.includes(`pod "pod-a" is gone`)).length, 1)
      })
  )

  for (const isReplaced of [true, false]) {
    const what = isReplaced ? "is replaced" : "is gone"
    it.live(`a leader whose pod ${what} gives the lock back to one that can be reached`, () =>
      Effect.gen(function* () {
        const stage = yield* withService
        yield* stage.start("a", { routing })
        yield* selects(stage, "pod-a")
        yield* stage.start("b", { routing })
        yield* stage.server.store.delete("pods", "default", "pod-a")
        if (isReplaced) yield* stage.server.store.put("pods", "default", { metadata: { name: "pod-a" } })
        // It looks after the label when it puts this right, and else every 30 seconds.
        yield* stage.server.store.put("services", "default", service())
        yield* selects(stage, "pod-b")
      })
    )
  }
})
