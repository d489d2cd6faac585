/**
 * Handlers that run while their term, or the server under them, ends.
 */
import { LeaderElection } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Candidates from "./Candidates.ts"
import { ask, notDone, outcome } from "./Client.ts"
import { echo } from "./Echo.ts"

describe("a term that ends while its handler runs", () => {
  const stuck = Effect.fnUntraced(function* () {
    const started = yield* Deferred.make<void>()
    const stopped = yield* Deferred.make<void>()
    const handlers: Candidates.Handlers = HttpRouter.add(
      "*",
      "/x",
      Effect.flatMap(LeaderElection.Term, ({ token }) =>
        token === 8n
          ? Effect.succeed(HttpServerResponse.text("by the next"))
          : Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
              Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
            )
      )
    )
    const a = yield* Candidates.start("a", handlers)
    const c = yield* Candidates.start("c", handlers)
    const { expire } = yield* a.lead(7n)
    yield* c.lead(8n)
    const end = Effect.gen(function* () {
      yield* Deferred.await(started)
      yield* expire
      yield* a.follow("c", c.address)
      yield* Deferred.await(stopped)
    })
    return { a, end }
  })

  it.live("interrupts it, and sends a request that may be repeated to the next leader", () =>
    Effect.gen(function* () {
      const { a, end } = yield* stuck()
      const asking = yield* Effect.forkChild(ask(`${a.url}/x`))
      yield* end
      assert.deepStrictEqual((yield* Fiber.join(asking)).text, "by the next")
    })
  )

  it.live("interrupts it, and tells the client of one that may not", () =>
    Effect.gen(function* () {
      const { a, end } = yield* stuck()
      const asking = yield* Effect.forkChild(ask(`${a.url}/x`, { method: "POST", body: "x" }))
      yield* end
      const answer = yield* Fiber.join(asking)
      assert.deepStrictEqual(outcome(answer), { status: 503, outcome: "in-doubt", retryAfter: null })
    })
  )

  it.live("is in doubt as well if the handler was quicker than what ends it, as after a pause", () =>
    Effect.gen(function* () {
      const answers: Candidates.Handlers = HttpRouter.add(
        "POST",
        "/x",
        Effect.andThen(
          LeaderElection.Term,
          Effect.suspend(() => Effect.as(expire, HttpServerResponse.text("late")))
        )
      )
      const a = yield* Candidates.start("a", answers)
      const { expire } = yield* a.lead(7n)
      const answer = yield* ask(`${a.url}/x`, { method: "POST", body: "x" })
      assert.deepStrictEqual(outcome(answer), { status: 503, outcome: "in-doubt", retryAfter: null })
      assert.include(answer.text, "term 7 had run out when it was answered")
    })
  )

  it.live("one hop away it is the same to the client", () =>
    Effect.gen(function* () {
      const { a, end } = yield* stuck()
      const b = yield* Candidates.start("b", echo)
      yield* b.follow("a", a.address)
      const asking = yield* Effect.forkChild(ask(`${b.url}/x`, { method: "POST", body: "x" }))
      yield* end
      assert.deepStrictEqual(outcome(yield* Fiber.join(asking)), { status: 502, outcome: "in-doubt", retryAfter: null })
    })
  )

  it.live("a guard of the handler that finds it over is no failure of the handler", () =>
    Effect.gen(function* () {
      const guarded: Candidates.Handlers = HttpRouter.add(
        "POST",
        "/x",
        Effect.flatMap(LeaderElection.Term, ({ guard }) => guard(Effect.succeed(HttpServerResponse.text("guarded"))))
      )
      const a = yield* Candidates.start("a", guarded, { waitLimit: "100 millis" })
      const { expire } = yield* a.lead(7n)
      assert.strictEqual((yield* ask(`${a.url}/x`, { method: "POST" })).text, "guarded")
      yield* expire
      assert.deepStrictEqual(outcome(yield* ask(`${a.url}/x`, { method: "POST" })), notDone)
    })
  )

  it.live("a body that streams is cut, and does not look whole", () =>
    Effect.gen(function* () {
      const endless: Candidates.Handlers = HttpRouter.add(
        "GET",
        "/x",
        Effect.as(
          LeaderElection.Term,
          HttpServerResponse.stream(Stream.encodeText(Stream.concat(Stream.make("first"), Stream.never)))
        )
      )
      const a = yield* Candidates.start("a", endless)
      const { expire } = yield* a.lead(7n)
      const response = yield* Effect.promise(() => fetch(`${a.url}/x`))
      const reader = response.body?.getReader()
      yield* Effect.promise(async () => reader?.read())
      yield* expire
      const rest = yield* Effect.exit(Effect.tryPromise(async () => reader?.read()))
      assert.strictEqual(rest._tag, "Failure")
    })
  )
})

describe("a leader whose server closes", () => {
  it.live("cuts its handlers in the end, and what may be repeated is sent to the next one", () =>
    Effect.gen(function* () {
      let started = 0
      const stuck: Candidates.Handlers = HttpRouter.add(
        "*",
        "/x",
        Effect.flatMap(LeaderElection.Term, () => {
          started++
          return Effect.never
        })
      )
      const a = yield* Candidates.start("a", stuck, { gracefulShutdownTimeout: "300 millis" })
      const b = yield* Candidates.start("b", echo)
      const c = yield* Candidates.start("c", echo)
      yield* a.lead(7n)
      yield* c.lead(8n)
      yield* b.follow("a", a.address)
      const post = { method: "POST", body: "x" }
      const asking = yield* Effect.forkChild(
        Effect.all([ask(`${b.url}/x`), ask(`${b.url}/x`, post), ask(`${a.url}/x`, post)], { concurrency: 3 })
      )
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => started === 3 })
      const closing = yield* Effect.forkChild(a.close)
      yield* Effect.sleep("100 millis")
      yield* b.follow("c", c.address)
      const [read, write, own] = yield* Fiber.join(asking)
      yield* Fiber.join(closing)
      assert.strictEqual(read.status, 201)
      assert.deepStrictEqual(outcome(write), { status: 502, outcome: "in-doubt", retryAfter: null })
      assert.deepStrictEqual(outcome(own), { status: 503, outcome: "in-doubt", retryAfter: null })
    })
  )

  it.live("closes the connections that followers keep, after the answers that are due", () =>
    Effect.gen(function* () {
      const goOn = yield* Deferred.make<void>()
      let started = 0
      const slow: Candidates.Handlers = HttpRouter.add(
        "GET",
        "/x",
        Effect.flatMap(LeaderElection.Term, ({ token }) => {
          started++
          return Effect.as(Deferred.await(goOn), HttpServerResponse.text(String(token)))
        })
      )
      // For so long the server itself would wait.
      const a = yield* Candidates.start("a", slow, { gracefulShutdownTimeout: "1 hour" })
      const b = yield* Candidates.start("b", slow)
      const c = yield* Candidates.start("c", slow)
      yield* a.lead(7n)
      yield* c.lead(8n)
      yield* b.follow("a", a.address)
      const asking = yield* Effect.forkChild(ask(`${b.url}/x`))
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => started === 1 })
      const closing = yield* Effect.forkChild(a.close)
      yield* Effect.sleep("100 millis")
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual((yield* Fiber.join(asking)).text, "7")
      // Were the connection kept, this would go over it to `a`, and the next one, and so on.
      const next = yield* Effect.forkChild(ask(`${b.url}/x`))
      yield* Fiber.join(closing)
      yield* b.follow("c", c.address)
      assert.strictEqual((yield* Fiber.join(next)).text, "8")
    })
  )
})
