/**
 * What the locks that are no Lease promise beyond the conformance suite, on any Kubernetes API server: they share their
 * objects with others.
 */
import { LeaseLock } from "@effect-leader/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import { KubernetesClient, KubernetesLock } from "../src/index.ts"
import { recordAnnotation } from "../src/internal/AnnotatedObject.ts"
import { taking } from "./EmbeddedLock.ts"
import { record } from "./Records.ts"
import { TestCluster, type JsonObject } from "./TestCluster.ts"

const subjects = [
  {
    kind: "ConfigMap",
    path: "/api/v1/namespaces/default/configmaps",
    layer: KubernetesLock.layerConfigMap,
    content: { data: { setting: "on" } }
  },
  {
    kind: "Endpoints",
    path: "/api/v1/namespaces/default/endpoints",
    layer: KubernetesLock.layerEndpoints,
    content: { subsets: [{ addresses: [{ ip: "10.1.2.3" }], ports: [{ port: 80, protocol: "TCP" }] }] }
  }
]

type Subject = (typeof subjects)[number]

/** A lock on an object of its own for each test, and what an administrator does to that. */
const setup = Effect.fnUntraced(function* ({ kind, layer, path }: Subject) {
  const { admin, kubeconfig } = yield* TestCluster
  const name = `lock-${randomUUID()}`
  const lock = yield* Layer.build(
    layer({ name }).pipe(Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig)))
  ).pipe(Effect.flatMap((context) => Effect.provide(LeaseLock.LeaseLock, context)))
  const remove = admin.request("DELETE", `${path}/${name}`)
  yield* Effect.addFinalizer(() => remove)
  const get = Effect.map(admin.request("GET", `${path}/${name}`), ({ body }) => body)
  return {
    name,
    lock,
    get,
    remove,
    create: (content: object, metadata: object = {}) =>
      admin.request("POST", path, { apiVersion: "v1", kind, metadata: { name, ...metadata }, ...content }),
    annotate: (annotations: JsonObject) =>
      Effect.flatMap(get, (body) =>
        admin.request("PUT", `${path}/${name}`, { ...body, metadata: { ...Object(body["metadata"]), annotations } })
      )
  }
})

const holderOf = ({ record }: LeaseLock.Observation) =>
  Option.getOrUndefined(Option.flatMap(record, ({ holder }) => holder))

const reasonOf = <A>(effect: Effect.Effect<A, LeaseLock.LockError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const annotationsOf = (object: JsonObject): JsonObject => Object(Object(object["metadata"])["annotations"])

export const objectLockTests = <E>(server: string, cluster: Layer.Layer<TestCluster, E>): void => {
  for (const subject of subjects) {
    it.layer(cluster, { excludeTestServices: true, timeout: "15 minutes" })(`${subject.kind} on ${server}`, (it) => {
      it.effect("a first write never replaces what somebody else has made meanwhile", () =>
        Effect.gen(function* () {
          const { create, get, lock } = yield* setup(subject)
          const absent = yield* lock.read
          yield* create(subject.content, { labels: { app: "reports" } })
          assert.strictEqual((yield* reasonOf(lock.write(absent, record("a"))))._tag, "Conflict")
          assert.deepInclude(yield* get, subject.content)
          assert.notProperty(annotationsOf(yield* get), recordAnnotation)
        })
      )

      it.effect(
        "an object that is there for another reason is no lock yet, and keeps what it has when it becomes one",
        () =>
          Effect.gen(function* () {
            const { create, get, lock } = yield* setup(subject)
            yield* create(subject.content, { labels: { app: "reports" }, annotations: { note: "keep" } })
            const none = yield* lock.read
            assert.isTrue(Option.isNone(none.record))
            const first = yield* lock.write(none, record("a", { incarnation: "i-1", address: "10.1.2.3:80" }))
            assert.isTrue(first.fence > none.fence)
            const taken = yield* get
            assert.deepInclude(taken, subject.content)
            assert.deepInclude(taken["metadata"], { labels: { app: "reports" } })
            assert.include(annotationsOf(taken), {
              note: "keep",
              "effect-leader.dev/incarnation": "i-1",
              "effect-leader.dev/address": "10.1.2.3:80 a"
            })
            yield* lock.write(first, record(undefined))
            assert.deepInclude(yield* get, subject.content)
            assert.deepStrictEqual(
              Object.keys(annotationsOf(yield* get)).toSorted(),
              [recordAnnotation, "note"].toSorted()
            )
          })
      )

      it.effect("taking the annotation away is as deleting the lock, and is told so", () =>
        Effect.gen(function* () {
          const { annotate, lock } = yield* setup(subject)
          const held = yield* lock.write(yield* lock.read, record("a"))
          const next = yield* taking(lock.changes(held))
          yield* annotate({})
          const gone = yield* next
          assert.isTrue(Option.isNone(gone.record))
          assert.isTrue(gone.fence > held.fence)
          assert.isUndefined(gone.uid)
          assert.strictEqual((yield* reasonOf(lock.write(held, record("a"))))._tag, "Conflict")
          const again = yield* lock.write(gone, record("b"))
          assert.deepStrictEqual(yield* next, again)
          assert.strictEqual(again.uid, held.uid)
        })
      )

      it.effect("an object that was made again without a record, too, is absent: no other life of the lock", () =>
        Effect.gen(function* () {
          const { create, lock, remove } = yield* setup(subject)
          const held = yield* lock.write(yield* lock.read, record("a"))
          yield* remove
          yield* create(subject.content)
          const seen = yield* lock.read
          assert.isTrue(Option.isNone(seen.record))
          assert.isUndefined(seen.uid)
          const again = yield* lock.write(seen, record("b"))
          assert.notStrictEqual(again.uid, held.uid)
        })
      )

      it.effect("what cannot be read is said and left alone, and is a lock again once it is mended", () =>
        Effect.gen(function* () {
          const { annotate, get, lock, name } = yield* setup(subject)
          const held = yield* lock.write(yield* lock.read, record("a"))
          yield* annotate({ [recordAnnotation]: "held by hand" })
          const reason = yield* reasonOf(lock.read)
          assert.strictEqual(reason._tag, "Malformed")
          assert.include(reason.detail, `"held by hand", which is no JSON`)
          assert.include(
            reason.detail,
            `kubectl annotate ${subject.path.split("/").at(-1)} ${name} --namespace=default`
          )
          assert.strictEqual((yield* reasonOf(lock.write(held, record("a"))))._tag, "Conflict")
          assert.strictEqual(annotationsOf(yield* get)[recordAnnotation], "held by hand")
          yield* annotate({ [recordAnnotation]: "" })
          assert.strictEqual(holderOf(yield* lock.write(yield* lock.read, record("b"))), "b")
        })
      )

      it.effect("what client-go left is read, and taken over", () =>
        Effect.gen(function* () {
          const { create, lock } = yield* setup(subject)
          const annotation =
            `{"holderIdentity":"go","leaseDurationSeconds":15,"acquireTime":"2026-01-02T03:04:05Z",` +
            `"renewTime":"2026-01-02T03:04:07Z","leaderTransitions":3}`
          yield* create({}, { annotations: { [recordAnnotation]: annotation } })
          const seen = yield* lock.read
          assert.deepInclude(Option.getOrThrow(seen.record), { holder: Option.some("go"), transitions: 3 })
          assert.strictEqual(holderOf(yield* lock.write(seen, record("a", { transitions: 4 }))), "a")
        })
      )
    })
  }
}
