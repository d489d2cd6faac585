/** What two writers may do to one object, step by step; which of them leads is not asked here. */
import { Term } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FencedObject from "../src/internal/FencedObject.ts"
import { withLabels } from "../src/internal/RawObject.ts"
import { KubernetesClient } from "../src/index.ts"
import { startServer, writeKubeconfig } from "./EmbeddedLock.ts"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Deferred from "effect/Deferred"

const keys = { lock: "effect-leader.dev/routing-lock", token: "effect-leader.dev/routing-token" }
const reference = {
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  namespace: "default",
  name: "reports"
}
const to = (value: string) => (object: KubernetesClient.KubernetesObject) => withLabels(object, { to: value })
const leading: FencedObject.Admit = (effect) => effect
const ended: FencedObject.Admit = () => Effect.fail(new Term.NotLeading({ reason: "term over" }))

const stage = Effect.gen(function* () {
  const server = yield* startServer()
  yield* server.store.put("services", "default", { metadata: { name: "reports" }, spec: {} })
  const layer = KubernetesClient.layerKubeConfig(yield* writeKubeconfig(server))
  const client = yield* Effect.provide(KubernetesClient.KubernetesClient, yield* Layer.build(layer))
  return {
    server,
    client,
    writer: (lock: string, token: bigint, own = client) =>
      FencedObject.make({ client: own, reference, keys, own: { lock, token }, toNobody: to("nobody") }),
    value: Effect.map(client.get(reference), ({ metadata }) => metadata.labels?.["to"]),
    writes: Effect.map(server.requests, (requests) => requests.filter(({ method }) => method === "PUT").length)
  }
})

const why = <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("a fenced object", () => {
  it.live("a newer term writes over an older one, and not the other way round", () =>
    Effect.gen(function* () {
      const { value, writer } = yield* stage
      const [a, b] = [writer("reports", 9n), writer("reports", 10n)]
      yield* a.write(to("a"), leading)
      yield* b.write(to("b"), leading)
      a.saw(undefined)
      const said = yield* why(a.write(to("a"), leading))
      assert.include(said, `services "reports" in namespace "default" was written by term 10 of reports`)
      assert.include(said, `remove its annotation effect-leader.dev/routing-token`)
      assert.strictEqual(yield* value, "b")
    })
  )

  it.live("a write that was on its way when a newer term wrote conflicts, and is not made again", () =>
    Effect.gen(function* () {
      const { client, value, writer, writes } = yield* stage
      const isSent = yield* Deferred.make<void>()
      const mayArrive = yield* Deferred.make<void>()
      const slow: typeof client = {
        ...client,
        update: (at, object) =>
          Deferred.succeed(isSent, undefined).pipe(
            Effect.andThen(Deferred.await(mayArrive)),
            Effect.andThen(client.update(at, object))
          )
      }
      const a = writer("reports", 1n, slow)
      const late = yield* Effect.forkChild(why(a.write(to("a"), leading)))
      yield* Deferred.await(isSent)
      yield* writer("reports", 2n).write(to("b"), leading)
      yield* Deferred.succeed(mayArrive, undefined)
      assert.include(yield* Fiber.join(late), "newer")
      assert.strictEqual(yield* value, "b")
      assert.strictEqual(yield* a.undo(to("nobody")), "Nothing")
      assert.strictEqual(yield* value, "b")
      assert.strictEqual(yield* writes, 2)
    })
  )

  it.live("nothing is sent once the term is not valid, though it was when the object was read", () =>
    Effect.gen(function* () {
      const { value, writer, writes } = yield* stage
      const a = writer("reports", 1n)
      assert.include(yield* why(a.write(to("a"), ended)), "not leading")
      assert.strictEqual(yield* a.undo(to("nobody")), "Nothing")
      assert.strictEqual(yield* value, undefined)
      assert.strictEqual(yield* writes, 0)
    })
  )

  it.live(
    "an end undoes what a write without an answer may have done, and keeps what it may still do from being done",
    () =>
      Effect.gen(function* () {
        const { client, value, writer } = yield* stage
        const first = yield* Deferred.make<KubernetesClient.KubernetesObject>()
        const deaf: typeof client = {
          ...client,
          update: (at, object) =>
            Effect.flatMap(Deferred.succeed(first, object), (isFirst) =>
              isFirst ? Effect.never : client.update(at, object)
            )
        }
        const a = writer("reports", 1n, deaf)
        const unanswered = yield* Effect.forkChild(a.write(to("a"), leading))
        const sent = yield* Deferred.await(first)
        yield* Fiber.interrupt(unanswered)
        assert.strictEqual(yield* a.undo(to("nobody")), "Undone")
        assert.strictEqual(yield* value, "nobody")
        assert.include(yield* why(client.update(reference, sent)), "409 Conflict")
      })
  )

  it.live("what is as wanted is not written, by the term that wrote it", () =>
    Effect.gen(function* () {
      const { writer, writes } = yield* stage
      const a = writer("reports", 1n)
      yield* a.write(to("a"), leading)
      yield* a.write(to("a"), leading)
      assert.strictEqual(yield* writes, 1)
      yield* writer("reports", 2n).write(to("a"), leading)
      assert.strictEqual(yield* writes, 2)
    })
  )

  it.live("a term takes over what another lock's term left, and gives way to what one writes later", () =>
    Effect.gen(function* () {
      const { value, writer } = yield* stage
      const former = writer("leases/reports", 1000n)
      yield* former.write(to("former"), leading)
      const own = writer("multi/reports", 7n)
      yield* own.write(to("own"), leading)
      assert.strictEqual(yield* value, "own")
      former.saw(undefined)
      assert.include(
        yield* why(former.write(to("former"), leading)),
        "taken over by term 7 of another lock, multi/reports"
      )
      assert.strictEqual(yield* former.undo(to("nobody")), "Nothing")
      assert.strictEqual(yield* value, "own")
      // What came in between counts for the next term only.
      yield* writer("multi/reports", 8n).write(to("next"), leading)
      assert.strictEqual(yield* value, "next")
    })
  )

  it.live("what another lock's term gave up goes back to the one that gave way to it", () =>
    Effect.gen(function* () {
      const { value, writer } = yield* stage
      yield* writer("old", 10n).write(to("a"), leading)
      const own = writer("new", 20n)
      yield* own.write(to("b"), leading)
      // A replica that is still to be rolled.
      const last = writer("old", 30n)
      yield* last.write(to("c"), leading)
      own.saw(undefined)
      assert.include(yield* why(own.write(to("b"), leading)), "taken over by term 30 of another lock, old")
      yield* last.undo(to("nobody"))
      own.saw(undefined)
      yield* own.write(to("b"), leading)
      assert.strictEqual(yield* value, "b")
    })
  )

  it.live("an object that was deleted and made again is another one: nothing of the former is brought back", () =>
    Effect.gen(function* () {
      const { client, server, value, writer } = yield* stage
      const a = writer("reports", 1n)
      const stale = yield* a.write(to("a"), leading)
      yield* server.store.delete("services", "default", "reports")
      assert.include(yield* why(a.write(to("b"), leading)), "404 NotFound")
      assert.strictEqual(yield* a.undo(to("nobody")), "Nothing")
      yield* server.store.put("services", "default", {
        metadata: { name: "reports", labels: { fresh: "yes" } },
        spec: {}
      })
      assert.include(yield* why(client.update(reference, stale)), "409 Conflict")
      yield* a.write(to("b"), leading)
      assert.strictEqual(yield* value, "b")
      assert.strictEqual((yield* client.get(reference)).metadata.labels?.["fresh"], "yes")
    })
  )

  it.live("conflicts without end are given up, and said", () =>
    Effect.gen(function* () {
      const { client, server, writer } = yield* stage
      let edits = 0
      const contended: typeof client = {
        ...client,
        update: (at, object) =>
          Effect.andThen(
            Effect.orDie(
              server.store.put("services", "default", { metadata: { name: "reports" }, spec: { edits: ++edits } })
            ),
            client.update(at, object)
          )
      }
      const a = writer("reports", 1n, contended)
      assert.include(yield* why(a.write(to("a"), leading)), "changed by others all the time")
      assert.strictEqual(edits, 10)
      assert.include(yield* why(a.undo(to("nobody"))), "changed by others all the time")
    })
  )

  it.live("a token that nobody can have written does not wedge: it reads as none", () =>
    Effect.gen(function* () {
      const { server, value, writer } = yield* stage
      const annotations = { [keys.lock]: "reports", [keys.token]: "latest" }
      yield* server.store.put("services", "default", { metadata: { name: "reports", annotations }, spec: {} })
      yield* writer("reports", 1n).write(to("a"), leading)
      assert.strictEqual(yield* value, "a")
    })
  )
})
