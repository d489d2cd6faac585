/**
 * Three pods over one database: who takes a write, where it goes, and what is left of it.
 */
import { LeaseLock } from "@effect-leader/core"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import {
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Option,
  Schedule,
  SubscriptionRef
} from "effect"
import { createServer } from "node:net"
import * as SqliteStore from "../src/SqliteStore.ts"
import { StaleToken, Store } from "../src/Store.ts"
import * as Pods from "./Pods.ts"
import { thousandWrites } from "./thousandWrites.ts"

const three = Effect.fnUntraced(function* (options: Pods.Options = {}) {
  const files = yield* FileSystem.FileSystem
  const folder = yield* Effect.orDie(files.makeTempDirectoryScoped({ prefix: "leader-follower-store-" }))
  const store = SqliteStore.layer({ file: `${folder}/store.db` })
  const pods = yield* Effect.forEach(["a", "b", "c"], (name) => Pods.start(name, store, options))
  const leader = yield* Pods.leader(pods)
  const [follower, other] = pods.filter((pod) => pod !== leader)
  if (follower === undefined || other === undefined) return yield* Effect.die("three pods are three")
  yield* Pods.knows(follower, leader)
  yield* Pods.knows(other, leader)
  return { pods, leader, follower, other, store }
})

/** What cuts whoever comes, and says so. */
const cuttingServer = Effect.gen(function* () {
  const tried = yield* Deferred.make<void>()
  const server = createServer((socket) => {
    socket.on("error", () => {}).destroy()
    Deferred.doneUnsafe(tried, Effect.void)
  })
  yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  const address = server.address()
  return { tried, port: typeof address === "object" && address !== null ? address.port : 0 }
})

/** One election for the pods of a test. */
const withLock = <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.provide(test, Layer.fresh(LeaseLock.layerMemory()))

describe("three pods", () => {
  layer(Layer.merge(NodeServices.layer, Logger.layer([])), { excludeTestServices: true })((it) => {
    it.effect("take a write wherever it comes, and all read it at once", () =>
      Effect.gen(function* () {
        const { follower, leader, pods } = yield* three()
        for (const [index, pod] of [follower, leader].entries()) {
          const written = yield* Pods.put(pod, "colour", `of ${pod.name}`)
          assert.strictEqual(written.status, 201)
          for (const reader of pods) {
            const read = yield* Pods.ask(reader, "/keys/colour")
            assert.deepStrictEqual(read.json, { key: "colour", value: `of ${pod.name}`, sequence: index + 1 })
          }
        }
      }).pipe(withLock)
    )

    it.effect("refuse through a follower what the leader refuses, in its words", () =>
      Effect.gen(function* () {
        const { follower } = yield* three()
        const tooLong = yield* Pods.put(follower, "k", "x".repeat(65_537))
        assert.strictEqual(tooLong.status, 413)
        assert.deepStrictEqual(tooLong.json, { error: "a value has at most 65536 bytes" })
        yield* Pods.put(follower, "k", "one", "id-1")
        assert.strictEqual((yield* Pods.put(follower, "k", "two", "id-1")).status, 422)
      }).pipe(withLock)
    )

    it.effect("give a write an id before they send it on, so that it is there once however often they do", () =>
      Effect.gen(function* () {
        const { follower, store } = yield* three()
        const answer = yield* Pods.put(follower, "k", "v")
        const [entry] = yield* Effect.flatMap(Layer.build(Layer.fresh(store)), (context) =>
          Context.get(context, Store).entries(0, 10)
        )
        assert.include(answer.body, `"id":"${entry?.id}"`)
      }).pipe(withLock)
    )

    it.effect("point to the leader instead, where followers are told to redirect", () =>
      Effect.gen(function* () {
        const { follower, leader } = yield* three({ followerWrites: "redirect" })
        const answer = yield* Pods.put(follower, "a/b", "v", "id-1")
        assert.strictEqual(answer.status, 307)
        assert.strictEqual(answer.headers.get("location"), `${leader.url}/keys/a%2Fb`)
        assert.strictEqual((yield* Pods.ask(follower, "/log")).body, '{"entries":[]}')
        assert.strictEqual((yield* Pods.put(leader, "a/b", "v", "id-1")).status, 201)
      }).pipe(withLock)
    )

    it.effect("go on under the next leader when the first ends, with everything that was acknowledged", () =>
      Effect.gen(function* () {
        const { follower, leader, other } = yield* three()
        assert.strictEqual((yield* Pods.put(follower, "k", "before", "id-1")).status, 201)
        yield* leader.stop
        const next = yield* Pods.leader([follower, other])
        const standby = next === follower ? other : follower
        yield* Pods.knows(standby, next)

        assert.deepStrictEqual((yield* Pods.ask(standby, "/keys/k")).json, { key: "k", value: "before", sequence: 1 })
        // The client that has lost the answer.
        const again = yield* Pods.put(standby, "k", "before", "id-1")
        assert.strictEqual(again.status, 200)
        assert.strictEqual((yield* Pods.put(standby, "k", "after", "id-2")).status, 201)
        assert.isFalse((yield* Effect.exit(Pods.ask(leader, "/keys/k")))._tag === "Success")
      }).pipe(withLock)
    )

    it.effect("shut the former leader out of the store when a term begins, before its first write", () =>
      Effect.gen(function* () {
        const { leader, store } = yield* three()
        const connection = yield* Effect.map(Layer.build(Layer.fresh(store)), (context) => Context.get(context, Store))
        const leadership = yield* SubscriptionRef.get(leader.election.leadership)
        const token = leadership._tag === "Leading" ? leadership.term.token : 0n
        // An empty store takes any token, so that it is the new leader who has raised the fence.
        const late = connection.put(0n, { id: "late", key: "k", value: "late" })
        const refused = yield* Effect.flip(late).pipe(Effect.retry(Schedule.spaced("10 millis")))
        assert.deepStrictEqual(refused, new StaleToken({ token: 0n, newest: token }))
      }).pipe(withLock)
    )

    it.effect("say in their logs who started, who stopped, and who is the new leader", () => {
      const said: Array<string> = []
      const ear = Logger.make(({ message }) => {
        said.push(String(message))
      })
      return Effect.gen(function* () {
        const { follower, leader, other } = yield* three()
        yield* leader.stop
        const next = yield* Pods.leader([follower, other])
        yield* Pods.knows(next === follower ? other : follower, next)
        const own = () => said.filter((line) => /^(started|stopped) leading/.test(line))
        const news = () => said.filter((line) => line.startsWith("new leader: "))
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => own().length >= 3 && news().length >= 5 })
        const addressOf = (pod: Pods.Pod) => `${pod.name} at ${new URL(pod.url).host}`
        assert.strictEqual(said.filter((line) => line === `new leader: ${addressOf(leader)}`).length, 2)
        assert.strictEqual(said.filter((line) => line === `new leader: ${addressOf(next)}`).length, 1)
        assert.strictEqual(said.filter((line) => line === "new leader: this pod").length, 2)
        assert.match(
          own().join("\n"),
          /^started leading with token \d+\nstopped leading\nstarted leading with token \d+$/
        )
      }).pipe(withLock, Effect.provide(Logger.layer([ear])))
    })

    it.effect("let a leader write nothing once the store has seen a newer token", () =>
      Effect.gen(function* () {
        const { follower, leader, store } = yield* three()
        yield* Pods.put(leader, "k", "before")
        const connection = yield* Effect.map(Layer.build(Layer.fresh(store)), (context) => Context.get(context, Store))
        // As if this leader had been paused, and another one had begun its term meanwhile.
        yield* connection.raise(1_000_000n)

        // Both look for the next leader for a while, in vain here.
        const [own, sentOn] = yield* Effect.all([Pods.put(leader, "k", "late"), Pods.put(follower, "k", "late")], {
          concurrency: 2
        })
        // 503 if the leader gave the lock back just then.
        assert.deepStrictEqual([own.status, sentOn.status], [503, sentOn.status === 503 ? 503 : 502])
        for (const { headers } of [own, sentOn]) assert.strictEqual(headers.get("retry-after"), "1")
        assert.strictEqual((yield* connection.entries(0, 10)).length, 1)
        assert.deepStrictEqual((yield* Pods.ask(leader, "/keys/k")).json, { key: "k", value: "before", sequence: 1 })
      }).pipe(withLock)
    )

    it.effect("give the lock back when the store has seen a newer token, and write again under a greater one", () =>
      Effect.gen(function* () {
        const { leader, pods, store } = yield* three()
        const connection = yield* Effect.map(Layer.build(Layer.fresh(store)), (context) => Context.get(context, Store))
        const leadership = yield* SubscriptionRef.get(leader.election.leadership)
        assert(leadership._tag === "Leading")
        // As if pods that elect on another lock had written.
        yield* connection.raise(leadership.term.token + 1n)
        const written = Pods.leader(pods).pipe(
          Effect.flatMap((next) => Pods.put(next, "k", "written", "id")),
          Effect.filterOrFail(
            ({ status }) => status === 201,
            () => "not yet" as const
          )
        )
        yield* Effect.retry(written, Schedule.spaced("50 millis"))
      }).pipe(withLock)
    )

    it.effect("say under which id a write may be sent again, also if the client gave none", () =>
      Effect.gen(function* () {
        const { follower, leader, store } = yield* three()
        for (const pod of [leader, follower]) {
          assert.strictEqual(
            (yield* Pods.put(pod, "k", "v", `id-${pod.name}`)).headers.get("idempotency-key"),
            `id-${pod.name}`
          )
          const { headers } = yield* Pods.ask(pod, "/keys/k", { method: "PUT", body: "v" })
          const connection = yield* Effect.map(Layer.build(Layer.fresh(store)), (context) =>
            Context.get(context, Store)
          )
          assert.strictEqual((yield* connection.entries(0, 10)).at(-1)?.id, headers.get("idempotency-key"))
        }
      }).pipe(withLock)
    )

    it.effect("say so also in the last moment before they end", () =>
      Effect.gen(function* () {
        const gone = yield* cuttingServer
        const lock = yield* LeaseLock.LeaseLock
        const now = yield* DateTime.now
        yield* lock.write(yield* lock.read, {
          holder: Option.some("gone"),
          address: `127.0.0.1:${gone.port}`,
          leaseDuration: Duration.minutes(1),
          acquiredAt: now,
          renewedAt: now,
          transitions: 0
        })
        const pod = yield* Pods.start("a", SqliteStore.layer({ file: ":memory:" }))
        yield* Pods.knows(pod, { name: "gone", url: "" })
        const asking = yield* Effect.forkChild(Pods.ask(pod, "/keys/k", { method: "PUT", body: "v" }))
        yield* Deferred.await(gone.tried)
        yield* pod.stop
        const { headers, status } = yield* Fiber.join(asking)
        assert.deepStrictEqual([status, headers.get("effect-leader-outcome")], [503, "in-doubt"])
        assert.match(headers.get("idempotency-key") ?? "", /^[0-9a-f-]{36}$/)
      }).pipe(withLock)
    )

    it.effect("answer probes and metrics, and say who leads", () =>
      Effect.gen(function* () {
        const { leader, pods } = yield* three()
        for (const pod of pods) {
          for (const path of ["/healthz", "/readyz", "/metrics"]) {
            assert.strictEqual((yield* Pods.ask(pod, path)).status, 200, path)
          }
          assert.match((yield* Pods.ask(pod, "/metrics")).body, /^store_refused_terms_total /m)
          const status = yield* Pods.ask(pod, "/", { headers: { accept: "application/json" } })
          assert.strictEqual(status.status, 200)
          assert.include(status.body, `"${leader.name}"`)
          const page = yield* Pods.ask(pod, "/", { headers: { accept: "text/html" } })
          assert.include(page.headers.get("content-type") ?? "", "text/html")
        }
      }).pipe(withLock)
    )

    it.effect(
      "have every one of 1,000 acknowledged writes once, in one order, while leaders resign and pods restart",
      () =>
        Effect.gen(function* () {
          const { pods, store } = yield* three()
          yield* thousandWrites(pods, store)
        }).pipe(withLock),
      120_000
    )
  })
})
