/**
 * The faults of the embedded server: history that ends, watches that close, sockets that break, silence.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ApiClient from "./ApiClient.ts"
import { client, holderOf, live, reports, Server, versionIn } from "./embedded.ts"
import { lease, leases } from "./semantics/leases.ts"

/** Resuming from the version is answered as kube-apiserver does once it has forgotten it. */
const tooOld = (version: string) =>
  Effect.gen(function* () {
    const { ask, watch } = yield* client
    const events = yield* watch(`${leases}?watch=true&resourceVersion=${version}`)
    const { object, type } = yield* events.next
    assert.strictEqual(type, "ERROR")
    assert.strictEqual(ApiClient.at(object, "code"), 410)
    assert.strictEqual(ApiClient.at(object, "reason"), "Expired")
    assert.isTrue(yield* events.ended)
    const list = yield* ask("GET", `${leases}?resourceVersion=${version}&resourceVersionMatch=Exact`)
    assert.strictEqual(list.status, 410)
    assert.strictEqual(ApiClient.at(list.body, "reason"), "Expired")
  })

describe("a history that ends", () => {
  live(
    "after compact every version seen before is too old, open watches go on, and a fresh list can be watched from",
    Effect.gen(function* () {
      const { compact, store } = yield* Server
      const { ask, watch } = yield* client
      const { metadata } = yield* store.put("leases", "default", reports("a"))
      const open = yield* watch(`${leases}?watch=true&resourceVersion=${metadata.resourceVersion}`)
      yield* compact
      yield* tooOld(metadata.resourceVersion)
      const list = yield* ask("GET", leases)
      const again = yield* watch(`${leases}?watch=true&resourceVersion=${versionIn(list.body)}`)
      yield* store.put("leases", "default", reports("b"))
      assert.strictEqual(holderOf(yield* open.next), "b")
      assert.strictEqual(holderOf(yield* again.next), "b")
    })
  )

  live(
    "a watch resumes from the last changes that historyLimit keeps, and from nothing older",
    Effect.gen(function* () {
      const { store } = yield* Server
      const { watch } = yield* client
      const versions: Array<string> = []
      for (const holder of ["a", "b", "c", "d"]) {
        versions.push((yield* store.put("leases", "default", reports(holder))).metadata.resourceVersion)
      }
      yield* tooOld(versions[0] ?? "")
      const events = yield* watch(`${leases}?watch=true&resourceVersion=${versions[1]}`)
      assert.deepStrictEqual([holderOf(yield* events.next), holderOf(yield* events.next)], ["c", "d"])
    }),
    { historyLimit: 2 }
  )

  live(
    "a watch from a version of the future, as after a loss of data, is silent until the counter is past it",
    Effect.gen(function* () {
      const { store } = yield* Server
      const { watch } = yield* client
      const { metadata } = yield* store.put("leases", "default", reports("a"))
      const events = yield* watch(`${leases}?watch=true&resourceVersion=${Number(metadata.resourceVersion) + 2}`)
      for (const holder of ["b", "c", "d"]) yield* store.put("leases", "default", reports(holder))
      assert.strictEqual(holderOf(yield* events.next), "d")
    })
  )

  live(
    "bookmarks come at their interval to those who allow them, with the latest version of all",
    Effect.gen(function* () {
      const { store } = yield* Server
      const { watch } = yield* client
      const { metadata } = yield* store.put("leases", "default", reports("a"))
      const resume = `${leases}?watch=true&resourceVersion=${metadata.resourceVersion}`
      const plain = yield* watch(resume)
      const marked = yield* watch(`${resume}&allowWatchBookmarks=true`)
      yield* store.put("configmaps", "default", { metadata: { name: "other" } })
      const { object, type } = yield* marked.next
      assert.strictEqual(type, "BOOKMARK")
      assert.strictEqual(versionIn(object), yield* store.version)
      assert.strictEqual((yield* marked.next).type, "BOOKMARK")
      yield* store.put("leases", "default", reports("b"))
      assert.strictEqual((yield* plain.next).type, "MODIFIED")
    }),
    { bookmarkInterval: "30 millis" }
  )
})

describe("faults", () => {
  live(
    "closeWatches ends open watches in order and refuses no new ones",
    Effect.gen(function* () {
      const { closeWatches, store } = yield* Server
      const { watch } = yield* client
      const events = yield* watch(`${leases}?watch=true`)
      yield* closeWatches
      assert.isTrue(yield* events.ended)
      const again = yield* watch(`${leases}?watch=true`)
      yield* store.put("leases", "default", reports("a"))
      assert.strictEqual((yield* again.next).type, "ADDED")
    })
  )

  live(
    "dropConnections cuts watches off and serves whoever connects again",
    Effect.gen(function* () {
      const { dropConnections } = yield* Server
      const { ask, watch } = yield* client
      const events = yield* watch(`${leases}?watch=true`)
      yield* dropConnections
      assert.isFalse(yield* events.ended)
      assert.strictEqual((yield* ask("GET", leases)).status, 200)
    })
  )

  live(
    "while paused nothing is answered and watches are silent; resume serves what waits",
    Effect.gen(function* () {
      const { pause, requests, resume, store } = yield* Server
      const { ask, watch } = yield* client
      const events = yield* watch(`${leases}?watch=true`)
      yield* pause
      yield* store.put("leases", "default", reports("a"))
      const put = yield* Effect.forkScoped(ask("PUT", `${leases}/b`, { body: lease("b") }))
      const event = yield* Effect.forkScoped(events.next)
      const waits = requests.pipe(
        Effect.map((all) => all.some(({ method, status }) => method === "PUT" && Option.isNone(status)))
      )
      yield* waits.pipe(Effect.delay("5 millis"), Effect.repeat({ until: (it) => it }))
      yield* Effect.sleep("100 millis")
      assert.isTrue(put.pollUnsafe() === undefined && event.pollUnsafe() === undefined)
      assert.isTrue(yield* waits)
      yield* resume
      assert.strictEqual((yield* Fiber.join(put)).status, 201)
      assert.strictEqual((yield* Fiber.join(event)).type, "ADDED")
    })
  )

  live(
    "a request whose client went away during a pause is never carried out",
    Effect.gen(function* () {
      const { pause, requests, resume, store } = yield* Server
      const { ask } = yield* client
      yield* pause
      const put = yield* Effect.forkScoped(ask("PUT", `${leases}/b`, { body: lease("b") }))
      yield* requests.pipe(Effect.delay("5 millis"), Effect.repeat({ until: (served) => served.length > 0 }))
      yield* Fiber.interrupt(put)
      yield* Effect.sleep("50 millis")
      yield* resume
      yield* ask("GET", leases)
      assert.deepStrictEqual(yield* store.get("leases", "default", "b"), Option.none())
    })
  )

  live(
    "a stopped server refuses connections, and starts again on its port with all it had but the history",
    Effect.gen(function* () {
      const { start, stop, store } = yield* Server
      const { ask, watch } = yield* client
      const { metadata } = yield* store.put("leases", "default", reports("a"))
      const events = yield* watch(`${leases}?watch=true`)
      yield* events.next
      yield* stop
      assert.isFalse(yield* events.ended)
      assert.include((yield* Effect.flip(ask("GET", leases))).message, "ECONNREFUSED")
      yield* start
      const { body } = yield* ask("GET", `${leases}/reports`)
      assert.strictEqual(versionIn(body), metadata.resourceVersion)
      yield* tooOld(metadata.resourceVersion)
    })
  )

  live(
    "a watcher that falls 10,000 events behind is closed in order, and costs the others nothing",
    Effect.gen(function* () {
      const { store } = yield* Server
      const { watch, watchDeaf } = yield* client
      const events = yield* watch(`${leases}?watch=true`)
      const readAll = yield* watchDeaf(`${leases}?watch=true`)
      const ballast = "x".repeat(2000)
      for (let round = 0; round < 14_000; round++) {
        yield* store.put("leases", "default", reports(`${round}${ballast}`))
        // What is read goes on being told.
        if (round % 1000 === 0)
          yield* Effect.repeat(events.next, { until: (event) => holderOf(event) === `${round}${ballast}` })
      }
      assert.isTrue(yield* readAll)
    })
  )
})
