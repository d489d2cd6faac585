import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { rmSync } from "node:fs"
import {
  countOf,
  lockBy,
  lockOn,
  reasonOf,
  record,
  startServer,
  taking,
  watchIsOpen,
  writeKubeconfig
} from "./EmbeddedLock.ts"

describe.each([
  ["HTTP", false],
  ["HTTPS", true]
])("the traffic of a Lease lock over %s", (_, tls) => {
  it.live("a renewal is one PUT on one kept connection, and the watch has another", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ tls })
      const lock = yield* lockOn(server)
      let held = yield* lock.write(yield* lock.read, record("a"))
      const next = yield* taking(lock.changes(held))
      yield* watchIsOpen(server)
      const before = (yield* server.requests).length
      for (let i = 0; i < 20; i++) {
        held = yield* lock.write(held, record("a"))
        assert.deepStrictEqual(yield* next, held)
      }
      const requests = yield* server.requests
      const renewals = requests.slice(before)
      assert.deepStrictEqual(
        renewals.map(({ method }) => method),
        Array(20).fill("PUT")
      )
      assert.strictEqual(new Set(renewals.map(({ connection }) => connection)).size, 1)
      assert.strictEqual(new Set(requests.map(({ connection }) => connection)).size, 2)
    })
  )
})

describe("a watch", () => {
  it.live("makes no other request while nothing happens, and takes bookmarks for what they are", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bookmarkInterval: "20 millis" })
      const lock = yield* lockOn(server)
      const held = yield* lock.write(yield* lock.read, record("a"))
      const next = yield* taking(lock.changes(held))
      yield* watchIsOpen(server)
      const before = (yield* server.requests).length
      yield* Effect.sleep("300 millis")
      assert.strictEqual((yield* server.requests).length, before)
      const renewed = yield* lock.write(held, record("a"))
      assert.deepStrictEqual(yield* next, renewed)
    })
  )

  it.live("that the server ends goes on from its last event without a read, and misses nothing", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const lock = yield* lockOn(server)
      const first = yield* lock.write(yield* lock.read, record("a"))
      const next = yield* taking(lock.changes(first))
      yield* watchIsOpen(server)
      const second = yield* lock.write(first, record("a"))
      assert.deepStrictEqual(yield* next, second)
      const reads = yield* countOf(server, "GET")

      yield* server.closeWatches
      const third = yield* lock.write(second, record("a"))
      assert.deepStrictEqual(yield* next, third)
      const gets = (yield* server.requests).filter(({ method }) => method === "GET").slice(reads)
      assert.deepStrictEqual(
        gets.map(({ query }) => query["resourceVersion"]),
        [second.version]
      )
    })
  )

  it.live("goes on from a bookmark, where its own last event is forgotten", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ bookmarkInterval: "20 millis", historyLimit: 3 })
      const lock = yield* lockOn(server)
      const first = yield* lock.write(yield* lock.read, record("a"))
      const next = yield* taking(lock.changes(first))
      yield* watchIsOpen(server)
      for (let i = 0; i < 10; i++) yield* server.store.put("configmaps", "default", { metadata: { name: `c${i}` } })
      // Longer than the shortest watch that may end without an event.
      yield* Effect.sleep("1100 millis")
      yield* server.closeWatches
      yield* watchIsOpen(server, 2)
      const second = yield* lock.write(first, record("a"))
      assert.deepStrictEqual(yield* next, second)
    })
  )

  it.live("from a version that the server has forgotten fails and says: read again", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const lock = yield* lockOn(server)
      const first = yield* lock.write(yield* lock.read, record("a"))
      const second = yield* lock.write(first, record("a"))
      yield* server.compact
      const reason = yield* reasonOf(Stream.runDrain(lock.changes(second)))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, "watch history expired: read again")

      // The same version again: the server has restarted since it was written.
      const again = yield* lock.read
      assert.deepStrictEqual(again, second)
      const next = yield* taking(lock.changes(again))
      assert.deepStrictEqual(yield* next, again)
      const renewed = yield* lock.write(again, record("a"))
      assert.deepStrictEqual(yield* next, renewed)
    })
  )

  it.live("after an absent Lease is not stopped by a history that was forgotten", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const lock = yield* lockOn(server)
      yield* lock.write(yield* lock.read, record("a"))
      yield* server.store.delete("leases", "default", "reports")
      const absent = yield* lock.read
      yield* server.compact
      const next = yield* taking(lock.changes(absent))
      yield* watchIsOpen(server)
      const written = yield* lock.write(absent, record("a"))
      assert.deepStrictEqual(yield* next, written)
    })
  )

  it.live("whose connection is cut fails: the election polls until a new one is up", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const lock = yield* lockOn(server)
      const first = yield* lock.write(yield* lock.read, record("a"))
      const next = yield* taking(lock.changes(first))
      yield* watchIsOpen(server)
      yield* server.dropConnections
      const reason = yield* reasonOf(next)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, "no answer")
    })
  )
})

describe("an API server in trouble", () => {
  it.live("a server that is down at the start does not fail the layer, and is found when it comes up", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* server.stop
      const lock = yield* lockOn(server)
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, "ECONNREFUSED")
      yield* server.start
      assert.isTrue(Option.isNone((yield* lock.read).record))
    })
  )

  it.live("sockets that died in the pool cost at most the request that finds out", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const lock = yield* lockOn(server)
      const first = yield* lock.write(yield* lock.read, record("a"))
      yield* server.dropConnections
      const second = yield* lock.write(first, record("a")).pipe(Effect.retry({ times: 1 }))
      yield* server.stop
      yield* server.start
      const third = yield* lock.write(second, record("a")).pipe(Effect.retry({ times: 1 }))
      assert.isTrue(third.fence > second.fence)
    })
  )

  it.live("a server that stands still: each request ends with its caller's timeout, and works after", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const lock = yield* lockOn(server)
      const first = yield* lock.write(yield* lock.read, record("a"))
      yield* server.pause
      for (let i = 0; i < 3; i++) {
        const answer = yield* lock.write(first, record("a")).pipe(Effect.timeoutOption("50 millis"))
        assert.isTrue(Option.isNone(answer))
      }
      yield* server.resume
      const seen = yield* lock.read
      const written = yield* lock.write(seen, record("a"))
      assert.isTrue(written.fence > first.fence)
    })
  )

  it.live("a token that changed in the kubeconfig is taken after a 401, by all requests that wait", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: { old: { name: "a" } } })
      const kubeconfig = yield* writeKubeconfig(server)
      const lock = yield* lockBy(kubeconfig)
      yield* lock.read
      yield* server.setUsers({ fresh: { name: "a" } })
      yield* server.writeKubeconfig(kubeconfig)
      const reads = yield* Effect.all(
        Array.from({ length: 10 }, () => lock.read),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(reads.length, 10)
      const before = (yield* server.requests).length
      yield* lock.read
      assert.strictEqual((yield* server.requests).length, before + 1)
    })
  )

  it.live("a token that is refused and did not change is a denial that names the credential, not its secret", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: { "s3cr3t-token": { name: "a" } } })
      const kubeconfig = yield* writeKubeconfig(server)
      const lock = yield* lockBy(kubeconfig)
      yield* server.setUsers({})
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Denied")
      assert.include(reason.detail, `401 Unauthorized`)
      assert.include(reason.detail, `does not accept a token, by users["a"] of ${kubeconfig}, and not after reading it`)
      assert.notInclude(reason.detail, "s3cr3t")

      yield* Effect.sync(() => rmSync(kubeconfig))
      const gone = yield* reasonOf(lock.read)
      assert.strictEqual(gone._tag, "Denied")
      assert.include(gone.detail, "could not be read again")
      assert.include(gone.detail, "does not exist")
    })
  )
})
