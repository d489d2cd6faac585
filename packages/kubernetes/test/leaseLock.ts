/**
 * What a Lease lock promises, on any Kubernetes API server: run on the embedded one by `pnpm test`, and on a real
 * kube-apiserver by `pnpm test:cluster`.
 */
import { LeaseLock } from "@effect-leader/core"
import { assert, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { KubernetesClient, KubernetesLock } from "../src/index.ts"
import { record } from "./Records.ts"
import { leasesOf, TestCluster } from "./TestCluster.ts"

const lockAt = (kubeconfig: string, options: KubernetesLock.Options) =>
  Layer.build(
    KubernetesLock.layerLease(options).pipe(Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig)))
  ).pipe(
    Effect.map((context) => Effect.provide(LeaseLock.LeaseLock, context)),
    Effect.flatten
  )

/** A Lease of its own for each test, and two locks on it as two processes would have them. */
const setup = Effect.gen(function* () {
  const { admin, kubeconfig } = yield* TestCluster
  const name = `lock-${randomUUID()}`
  const leases = leasesOf(admin)
  yield* Effect.addFinalizer(() => leases.delete(name))
  return {
    name,
    leases,
    admin,
    a: yield* lockAt(kubeconfig, { name }),
    b: yield* lockAt(kubeconfig, { name })
  }
})

const holderOf = ({ record }: LeaseLock.Observation) => Option.flatMap(record, ({ holder }) => holder)

const reasonOf = <A>(effect: Effect.Effect<A, LeaseLock.LockError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const conflicts = <A>(effect: Effect.Effect<A, LeaseLock.LockError>) =>
  Effect.map(reasonOf(effect), ({ _tag }) => assert.strictEqual(_tag, "Conflict"))

/** The changes after an observation, from a watch that runs until the test ends. */
const follow = Effect.fnUntraced(function* (lock: LeaseLock.LeaseLock["Service"], after: LeaseLock.Observation) {
  const seen = yield* Queue.unbounded<LeaseLock.Observation, LeaseLock.LockError>()
  yield* lock.changes(after).pipe(
    Stream.runForEach((observation) => Queue.offer(seen, observation)),
    Effect.catch((error) => Queue.fail(seen, error)),
    Effect.forkScoped
  )
  return Queue.take(seen).pipe(Effect.timeout("10 seconds"))
})

const notMineRule = (verb: string) =>
  `a Role in namespace "default" with this rule would allow it: - {apiGroups: ["coordination.k8s.io"], ` +
  `resources: ["leases"], resourceNames: ["not-mine"], verbs: ["${verb}"]}`

export const leaseLockTests = <E>(name: string, cluster: Layer.Layer<TestCluster, E>): void =>
  it.layer(cluster, { excludeTestServices: true, timeout: "2 minutes" })(`a Lease lock on ${name}`, (it) => {
    it.effect("an absent Lease reads as absent, and its first write creates it", () =>
      Effect.gen(function* () {
        const { a, leases, name } = yield* setup
        assert.strictEqual(a.name, `default/${name}`)
        const absent = yield* a.read
        assert.isTrue(Option.isNone(absent.record))
        assert.strictEqual(absent.fence, 0n)

        const written = yield* a.write(absent, record("a", { incarnation: "i-1" }))
        assert.isTrue(written.fence > 0n)
        const lease = yield* leases.get(name)
        assert.include(lease["spec"], {
          holderIdentity: "a",
          leaseDurationSeconds: 15,
          acquireTime: "2026-01-02T03:04:05.006000Z",
          renewTime: "2026-01-02T03:04:07.008000Z",
          leaseTransitions: 0
        })
        assert.include(lease["metadata"], { resourceVersion: written.version, uid: written.uid })
        assert.deepStrictEqual(yield* a.read, written)
        assert.deepStrictEqual(written.record, Option.some(record("a", { incarnation: "i-1" })))
      })
    )

    it.effect("of two first writes one wins and the other conflicts", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const absentToA = yield* a.read
        const absentToB = yield* b.read
        yield* a.write(absentToA, record("a"))
        yield* conflicts(b.write(absentToB, record("b")))
        assert.deepStrictEqual(holderOf(yield* b.read), Option.some("a"))
      })
    )

    it.effect("of many first writes at once exactly one wins", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const absent = { a: yield* a.read, b: yield* b.read }
        const tries = Array.from({ length: 10 }, (_, i) =>
          i % 2 === 0 ? a.write(absent.a, record(`a${i}`)) : b.write(absent.b, record(`b${i}`))
        )
        const results = yield* Effect.all(tries.map(Effect.result), { concurrency: "unbounded" })
        const failures = results.flatMap((result) => (result._tag === "Failure" ? [result.failure.reason._tag] : []))
        assert.deepStrictEqual(failures, Array(9).fill("Conflict"))
      })
    )

    it.effect("a write against the current version wins, against an older one conflicts, and fences grow", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const first = yield* a.write(yield* a.read, record("a"))
        const second = yield* a.write(first, record("a", { renewedAt: DateTime.makeUnsafe("2026-01-02T03:04:09Z") }))
        const third = yield* b.write(yield* b.read, record("b", { transitions: 1 }))
        yield* conflicts(a.write(first, record("a")))
        yield* conflicts(a.write(second, record("a")))
        assert.isTrue(first.fence < second.fence && second.fence < third.fence)
        assert.deepStrictEqual(holderOf(yield* a.read), Option.some("b"))
      })
    )

    it.effect("the same record written again is a write: its fence grows and others see it", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const first = yield* a.write(yield* a.read, record("a"))
        const next = yield* follow(b, first)
        const second = yield* a.write(first, record("a"))
        assert.isTrue(second.fence > first.fence)
        assert.notDeepEqual(second.record, first.record)
        assert.deepStrictEqual(yield* next, second)
        yield* conflicts(b.write(first, record("b")))
      })
    )

    it.effect("a write keeps labels, annotations, owner references and finalizers", () =>
      Effect.gen(function* () {
        const { a, leases, name } = yield* setup
        const kept = {
          labels: { app: "reports" },
          ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: randomUUID() }]
        }
        yield* leases.create(name, {}, { ...kept, annotations: { note: "keep" } })
        const first = yield* a.write(yield* a.read, record("a", { incarnation: "i-1" }))
        assert.deepInclude((yield* leases.get(name))["metadata"], {
          ...kept,
          annotations: { note: "keep", "effect-leader.dev/incarnation": "i-1" }
        })

        yield* a.write(first, record("a"))
        assert.deepInclude((yield* leases.get(name))["metadata"], { ...kept, annotations: { note: "keep" } })
      })
    )

    it.effect("a label that somebody sets is a conflict once, and stays", () =>
      Effect.gen(function* () {
        const { a, leases, name } = yield* setup
        const first = yield* a.write(yield* a.read, record("a"))
        yield* leases.edit(name, (lease) => ({
          ...lease,
          metadata: { ...Object(lease["metadata"]), labels: { x: "y" } }
        }))
        yield* conflicts(a.write(first, record("a")))
        const seen = yield* a.read
        assert.deepStrictEqual(seen.record, first.record)
        yield* a.write(seen, record("a"))
        assert.deepInclude((yield* leases.get(name))["metadata"], { labels: { x: "y" } })
      })
    )

    it.effect("a deleted Lease is not brought back by a write against what was there", () =>
      Effect.gen(function* () {
        const { a, leases, name } = yield* setup
        const written = yield* a.write(yield* a.read, record("a"))
        yield* leases.delete(name)
        yield* conflicts(a.write(written, record("a")))

        const absent = yield* a.read
        assert.isTrue(Option.isNone(absent.record))
        assert.strictEqual(absent.fence, written.fence)
        const again = yield* a.write(absent, record("a"))
        assert.isTrue(again.fence > written.fence)
        assert.notStrictEqual(again.uid, written.uid)
        yield* conflicts(a.write(written, record("a")))
      })
    )

    it.effect("a release writes an empty holder, and reads as released", () =>
      Effect.gen(function* () {
        const { a, b, leases, name } = yield* setup
        const held = yield* a.write(yield* a.read, record("a"))
        yield* a.write(held, record(undefined, { leaseDuration: Duration.seconds(1), transitions: 1 }))
        assert.include((yield* leases.get(name))["spec"], { holderIdentity: "", leaseDurationSeconds: 1 })
        const released = yield* b.read
        assert.isTrue(Option.isSome(released.record) && Option.isNone(released.record.value.holder))
      })
    )

    it.effect("what a peer left behind can be read and written over", () =>
      Effect.gen(function* () {
        const { a, leases, name } = yield* setup
        const left: ReadonlyArray<unknown> = [
          undefined,
          {},
          { holderIdentity: "" },
          { holderIdentity: null, renewTime: "2026-01-02T03:04:05.000000Z" },
          { holderIdentity: "peer" },
          { holderIdentity: "peer", leaseDurationSeconds: 2147483647, renewTime: "9999-12-31T23:59:59.999999Z" }
        ]
        for (const spec of left) {
          yield* leases.create(name, spec)
          const seen = yield* a.read
          const written = yield* a.write(seen, record("a"))
          assert.deepStrictEqual(holderOf(written), Option.some("a"), JSON.stringify(spec))
          yield* leases.delete(name)
        }
      })
    )

    it.effect("an observation that was copied counts by version and uid", () =>
      Effect.gen(function* () {
        const { a, leases, name } = yield* setup
        const first = { ...(yield* a.write(yield* a.read, record("a", { incarnation: "i" }))) }
        yield* leases.edit(name, (lease) => lease)
        const second = yield* a.write({ ...(yield* a.read) }, record("a"))
        yield* conflicts(a.write(first, record("a")))
        yield* conflicts(a.write({ ...second, uid: "another" }, record("a")))
        yield* leases.delete(name)
        yield* conflicts(a.write({ ...second }, record("a")))
      })
    )

    it.effect("a record that a Lease cannot hold is refused and not cut, and nothing is written", () =>
      Effect.gen(function* () {
        const { a } = yield* setup
        const absent = yield* a.read
        for (const leaseDuration of [Duration.millis(1500), Duration.millis(999), Duration.zero]) {
          const reason = yield* reasonOf(a.write(absent, record("a", { leaseDuration })))
          assert.strictEqual(reason._tag, "Malformed")
          assert.include(reason.detail, "leaseDuration")
        }
        assert.isTrue(Option.isNone((yield* a.read).record))
      })
    )

    it.effect("changes show every write of others, the deletion, and the next life", () =>
      Effect.gen(function* () {
        const { a, b, leases, name } = yield* setup
        const first = yield* a.write(yield* a.read, record("a"))
        const next = yield* follow(b, first)

        const second = yield* a.write(first, record("a", { transitions: 1 }))
        assert.deepStrictEqual(yield* next, second)

        yield* leases.delete(name)
        const deleted = yield* next
        assert.isTrue(Option.isNone(deleted.record))
        assert.isTrue(deleted.fence > second.fence)

        const again = yield* a.write(yield* a.read, record("a"))
        assert.deepStrictEqual(yield* next, again)
        assert.isTrue(again.fence > deleted.fence)
        assert.isTrue(again.uid !== second.uid)
      })
    )

    it.effect("what changes show can be written against without a read", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const first = yield* a.write(yield* a.read, record("a"))
        const next = yield* follow(b, first)
        yield* a.write(first, record(undefined))
        const taken = yield* b.write(yield* next, record("b"))
        assert.deepStrictEqual(yield* next, taken)
      })
    )

    it.effect("changes begin after the observation: what happened since then is not missed", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const first = yield* a.write(yield* a.read, record("a"))
        const seen = yield* b.read
        const second = yield* a.write(first, record("a", { transitions: 1 }))
        const next = yield* follow(b, seen)
        assert.deepStrictEqual(yield* next, second)
      })
    )

    it.effect("changes after an absent Lease show that it was created, before the watch began too", () =>
      Effect.gen(function* () {
        const { a, b } = yield* setup
        const early = yield* follow(b, yield* b.read)
        const absent = yield* b.read
        const first = yield* a.write(yield* a.read, record("a"))
        assert.deepStrictEqual(yield* early, first)

        const late = yield* follow(b, absent)
        assert.deepStrictEqual(yield* late, first)
        const second = yield* a.write(first, record("a", { transitions: 1 }))
        assert.deepStrictEqual(yield* late, second)
      })
    )

    it.effect("changes say nothing of other Leases", () =>
      Effect.gen(function* () {
        const { a, b, leases, name } = yield* setup
        const other = `${name}-other`
        yield* Effect.addFinalizer(() => leases.delete(other))
        const first = yield* a.write(yield* a.read, record("a"))
        const next = yield* follow(b, first)
        yield* leases.create(other, { holderIdentity: "x" })
        yield* leases.delete(other)
        const second = yield* a.write(first, record("a"))
        assert.deepStrictEqual(yield* next, second)
      })
    )

    it.effect("a namespace that does not exist: nothing there to read, and the write is denied and says so", () =>
      Effect.gen(function* () {
        const { kubeconfig } = yield* TestCluster
        const lock = yield* lockAt(kubeconfig, { name: "reports", namespace: "no-such-namespace" })
        const absent = yield* lock.read
        assert.isTrue(Option.isNone(absent.record))
        const reason = yield* reasonOf(lock.write(absent, record("a")))
        assert.strictEqual(reason._tag, "Denied")
        assert.include(reason.detail, `namespace "no-such-namespace" does not exist`)
      })
    )

    it.effect("one rule for the one Lease suffices: get, watch, update, create by name", () =>
      Effect.gen(function* () {
        const { admin, restricted } = yield* TestCluster
        yield* leasesOf(admin).delete(restricted.lease)
        yield* Effect.addFinalizer(() => leasesOf(admin).delete(restricted.lease))
        const lock = yield* lockAt(restricted.kubeconfig, { name: restricted.lease })
        const absent = yield* lock.read
        const next = yield* follow(lock, absent)
        const first = yield* lock.write(absent, record("a"))
        assert.deepStrictEqual(yield* next, first)
        const second = yield* lock.write(first, record("a", { transitions: 1 }))
        assert.deepStrictEqual(yield* next, second)
        yield* conflicts(lock.write(first, record("a")))
      })
    )

    it.effect("without a rule the denial says which one would allow it", () =>
      Effect.gen(function* () {
        const { restricted } = yield* TestCluster
        const lock = yield* lockAt(restricted.kubeconfig, { name: "not-mine" })
        const absent: LeaseLock.Observation = { record: Option.none(), version: "absent", fence: 0n }
        const denials = {
          get: yield* reasonOf(lock.read),
          update: yield* reasonOf(lock.write(absent, record("a"))),
          watch: yield* reasonOf(Stream.runDrain(lock.changes(absent)))
        }
        for (const [verb, reason] of Object.entries(denials)) {
          assert.strictEqual(reason._tag, "Denied")
          assert.include(reason.detail, notMineRule(verb))
        }
      })
    )

    it.effect("closing the layer ends a watch that runs", () =>
      Effect.gen(function* () {
        const { kubeconfig } = yield* TestCluster
        const watching = yield* Effect.scoped(
          Effect.gen(function* () {
            const lock = yield* lockAt(kubeconfig, { name: `lock-${randomUUID()}` })
            const absent = yield* lock.read
            const fiber = yield* Effect.forkDetach(Stream.runDrain(lock.changes(absent)))
            yield* Effect.sleep("100 millis")
            return fiber
          })
        )
        const exit = yield* Fiber.await(watching).pipe(Effect.timeout("5 seconds"))
        assert.strictEqual(exit._tag, "Failure")
      })
    )
  })
