import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { LeaderElection } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Stream } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { connect } from "node:net"
import { LeaderForwarding } from "../src/index.ts"
import * as Candidates from "./Candidates.ts"
import * as ScriptedElection from "./ScriptedElection.ts"
import * as Server from "./Server.ts"

/** Tells what it was asked, and under which token. */
const echo: Candidates.Handlers = HttpRouter.add("*", "/*", (request) =>
  Effect.gen(function* () {
    const { token } = yield* LeaderElection.Term
    const body = yield* Effect.orDie(request.text)
    const { headers, method, originalUrl } = request
    const answer = { token: String(token), method, url: originalUrl, headers, body }
    return HttpServerResponse.jsonUnsafe(answer, {
      status: 201,
      headers: { "x-answer": "yes", connection: "x-secret", "x-secret": "1" }
    }).pipe(
      HttpServerResponse.setCookieUnsafe("one", "1"),
      HttpServerResponse.setCookieUnsafe("two", "2", { path: "/", httpOnly: true })
    )
  })
)

const ask = (url: string, init?: RequestInit) =>
  Effect.promise(async (signal) => {
    // A connection that is kept would hold up the end of the server.
    const headers = { connection: "close", ...init?.headers }
    const response = await fetch(url, { redirect: "manual", ...init, headers, signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

/** A request as it is written, which fetch would tidy up first. Returns the whole answer. */
const askRaw = (address: string, line: string, header = "X-None: 1", body = "") =>
  Effect.callback<string>((resume) => {
    const url = new URL(`http://${address}`)
    const socket = connect(Number(url.port), url.hostname)
    let answer = ""
    socket.setEncoding("utf8")
    socket.on("data", (text) => (answer += text))
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", (error) => resume(Effect.die(error)))
    socket.write(`${line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${header}\r\n\r\n${body}`)
    return Effect.sync(() => socket.destroy())
  })

const outcome = ({ headers, status }: { readonly status: number; readonly headers: Headers }) => ({
  status,
  outcome: headers.get("effect-leader-outcome"),
  retryAfter: headers.get("retry-after")
})

const notDone = { status: 503, outcome: "not-done", retryAfter: "1" }

describe("a request that only the leader handles", () => {
  it.live("is handled by the leader itself, in its term", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo)
      yield* a.lead(7n)
      const answer = yield* ask(`${a.url}/x`, { method: "POST", body: "hello" })
      assert.strictEqual(answer.status, 201)
      assert.include(answer.text, `"token":"7"`)
      assert.include(answer.text, `"body":"hello"`)
      assert.notInclude(answer.text, "x-forwarded")
    })
  )

  for (const path of ["/public/../x", "/public/%2e%2E/x", "/x/.", "/x/%2e", "/x\\..\\y", "/x#y"]) {
    it.live(`is refused by whoever is asked when a URL would change its path: ${path}`, () =>
      Effect.gen(function* () {
        let asked = 0
        const handlers: Candidates.Handlers = HttpRouter.add(
          "*",
          "/*",
          Effect.map(LeaderElection.Term, () => {
            asked++
            return HttpServerResponse.empty()
          })
        )
        const a = yield* Candidates.start("a", handlers)
        const b = yield* Candidates.start("b", handlers)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        for (const { address } of [a, b]) assert.match(yield* askRaw(address, `PUT ${path}`), /^HTTP\/1.1 400 /)
        assert.strictEqual(asked, 0)
        for (const { address } of [a, b]) {
          assert.match(yield* askRaw(address, `PUT /x"y/..z/%2F%C3%BC?a=../b&c={}'`), /^HTTP\/1.1 204 /)
        }
        assert.strictEqual(asked, 2)
      })
    )
  }

  it.live("has no type at the leader either if the client gave none", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo)
      const b = yield* Candidates.start("b", echo)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const answer = yield* askRaw(b.address, "PUT /x", "Content-Length: 1", "x")
      assert.include(answer, '"body":"x"')
      assert.notInclude(answer, 'content-type":')
    })
  )

  it.live("is carried out once if the handler's own answer looks like this middleware's", () =>
    Effect.gen(function* () {
      let asked = 0
      const passesOn: Candidates.Handlers = HttpRouter.add(
        "*",
        "/*",
        Effect.map(LeaderElection.Term, () => {
          asked++
          return HttpServerResponse.empty({ status: 503, headers: { "effect-leader-outcome": "not-done" } })
        })
      )
      const a = yield* Candidates.start("a", passesOn)
      const b = yield* Candidates.start("b", passesOn)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      assert.strictEqual((yield* ask(`${b.url}/x`, { method: "POST", body: "x" })).status, 503)
      assert.strictEqual(asked, 1)
    })
  )

  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    it.live(`${method} goes to the leader as it is, and its answer comes back`, () =>
      Effect.gen(function* () {
        const a = yield* Candidates.start("a", echo)
        const b = yield* Candidates.start("b ü", echo)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        const body = method === "GET" ? {} : { body: "hällo" }
        const headers = { "x-mine": "yes", "x-forwarded-for": "10.9.8.7", te: "trailers", "content-type": "text/plain" }
        const answer = yield* ask(`${b.url}/a%20b/../c?x=1+2&y=%2F`, { method, headers, ...body })
        assert.strictEqual(answer.status, 201)
        assert.strictEqual(answer.headers.get("x-answer"), "yes")
        assert.isNull(answer.headers.get("x-secret"))
        assert.deepStrictEqual(answer.headers.getSetCookie(), ["one=1", "two=2; Path=/; HttpOnly"])
        const seen = JSON.parse(answer.text)
        assert.strictEqual(seen.token, "7")
        assert.strictEqual(seen.method, method)
        // fetch itself has resolved the dots.
        assert.strictEqual(seen.url, `${a.url}/c?x=1+2&y=%2F`)
        assert.strictEqual(seen.body, method === "GET" ? "" : "hällo")
        assert.strictEqual(seen.headers["x-mine"], "yes")
        assert.isUndefined(seen.headers["te"])
        assert.strictEqual(seen.headers["host"], a.address)
        assert.strictEqual(seen.headers["x-forwarded-host"], b.address)
        assert.strictEqual(seen.headers["x-forwarded-for"], "10.9.8.7, 127.0.0.1")
        assert.strictEqual(seen.headers["x-forwarded-proto"], "http")
        assert.strictEqual(seen.headers["effect-leader-forwarded-by"], "b%20%C3%BC")
      })
    )
  }

  it.live("HEAD is answered without a body", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo)
      const b = yield* Candidates.start("b", echo)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const answer = yield* ask(`${b.url}/x`, { method: "HEAD" })
      assert.deepStrictEqual([answer.status, answer.text, answer.headers.get("x-answer")], [201, "", "yes"])
    })
  )

  const fetchClient = FetchHttpClient.layer.pipe(
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
  )
  for (const [name, client] of [
    ["undici", NodeHttpClient.layerUndici],
    ["fetch", fetchClient]
  ] as const) {
    it.live(
      `a redirect and an empty answer of the leader come back as they are, and none is compressed, by ${name}`,
      () =>
        Effect.gen(function* () {
          const answers: Candidates.Handlers = HttpRouter.add("*", "/*", (request) =>
            Effect.as(
              LeaderElection.Term,
              request.method === "DELETE"
                ? HttpServerResponse.empty({ status: 204 })
                : request.headers["accept-encoding"] === "identity"
                  ? HttpServerResponse.redirect("/elsewhere", { status: 303 })
                  : HttpServerResponse.text("asked for a compressed one", { status: 500 })
            )
          )
          const a = yield* Candidates.start("a", answers)
          const b = yield* Candidates.start("b", answers, { client })
          yield* a.lead(7n)
          yield* b.follow("a", a.address)
          const redirect = yield* ask(`${b.url}/x`, {
            method: "POST",
            body: "x",
            headers: { "accept-encoding": "gzip" }
          })
          assert.deepStrictEqual([redirect.status, redirect.headers.get("location")], [303, "/elsewhere"])
          assert.strictEqual((yield* ask(`${b.url}/x`, { method: "DELETE" })).status, 204)
        })
    )
  }

  it.live("streams in both directions, whatever the size", () =>
    Effect.gen(function* () {
      const mirror: Candidates.Handlers = HttpRouter.add("POST", "/mirror", (request) =>
        Effect.as(LeaderElection.Term, HttpServerResponse.stream(request.stream))
      )
      const a = yield* Candidates.start("a", mirror)
      const b = yield* Candidates.start("b", mirror)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const body = new Uint8Array(8 * 1_048_576)
      for (let at = 0; at < body.length; at += 1_000) body[at] = at % 251
      const bytes = yield* Effect.promise(async () =>
        (await fetch(`${b.url}/mirror`, { method: "POST", body })).arrayBuffer()
      )
      const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex")
      assert.strictEqual(hash(new Uint8Array(bytes)), hash(body))
    })
  )

  it.live("an answer that goes on is seen while it goes on", () =>
    Effect.gen(function* () {
      const goOn = yield* Deferred.make<void>()
      const slow: Candidates.Handlers = HttpRouter.add(
        "GET",
        "/slow",
        Effect.as(
          LeaderElection.Term,
          HttpServerResponse.stream(
            Stream.encodeText(
              Stream.concat(Stream.make("first"), Stream.fromEffect(Effect.as(Deferred.await(goOn), "second")))
            )
          )
        )
      )
      const a = yield* Candidates.start("a", slow)
      const b = yield* Candidates.start("b", slow)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const response = yield* Effect.promise(() => fetch(`${b.url}/slow`))
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      assert.strictEqual((yield* Effect.promise(async () => reader?.read()))?.value, "first")
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual((yield* Effect.promise(async () => reader?.read()))?.value, "second")
    })
  )

  it.live("a client that goes away ends the work at the leader", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const endless: Candidates.Handlers = HttpRouter.add(
        "GET",
        "/endless",
        Effect.andThen(LeaderElection.Term, Deferred.succeed(started, undefined)).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
        )
      )
      const a = yield* Candidates.start("a", endless)
      const b = yield* Candidates.start("b", endless)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const asking = yield* Effect.forkChild(ask(`${b.url}/endless`))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(ended)
    })
  )
})

describe("a request without a leader", () => {
  it.live("waits for one: another, or this candidate", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo)
      const b = yield* Candidates.start("b", echo)
      const waiting = yield* Effect.forkChild(
        Effect.all(
          [ask(`${a.url}/x`, { method: "POST", body: "1" }), ask(`${b.url}/x`, { method: "POST", body: "2" })],
          {
            concurrency: 2
          }
        )
      )
      yield* Effect.sleep("100 millis")
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const answers = yield* Fiber.join(waiting)
      assert.deepStrictEqual(
        answers.map((it) => [it.status, JSON.parse(it.text).body]),
        [
          [201, "1"],
          [201, "2"]
        ]
      )
    })
  )

  it.live("is told so after the wait limit", () =>
    Effect.gen(function* () {
      const b = yield* Candidates.start("b", echo, { waitLimit: "300 millis" })
      const [duration, answer] = yield* Effect.timed(ask(`${b.url}/x`, { method: "POST", body: "x" }))
      assert.deepStrictEqual(outcome(answer), notDone)
      assert.strictEqual(answer.text, "nobody leads reports. Nothing was carried out: try again.\n")
      assert.isAtLeast(Duration.toMillis(duration), 299)
      const { term } = yield* ScriptedElection.makeTerm(7n)
      yield* b.become({ _tag: "Draining", term, end: "Resigned", overrun: false })
      assert.deepStrictEqual(outcome(yield* ask(`${b.url}/x`)), notDone)
      yield* b.become({ _tag: "Stopped" })
      assert.match((yield* ask(`${b.url}/x`)).text, /^b takes part in the election of reports no more/)
    })
  )

  it.live("a leader that publishes no address, or none that is one, cannot be reached", () =>
    Effect.gen(function* () {
      const b = yield* Candidates.start("b", echo)
      yield* b.follow("a")
      const none = yield* ask(`${b.url}/x`)
      assert.deepStrictEqual(outcome(none), notDone)
      assert.match(none.text, /^a leads reports, and publishes no address to send this to/)
      for (const address of ["10.0.0.1", "user@10.0.0.1:80", "10.0.0.1:80/path", "10.0.0.1:99999", "[:80"]) {
        yield* b.follow("a", address)
        const answer = yield* ask(`${b.url}/x`)
        assert.deepStrictEqual(outcome(answer), notDone)
        assert.include(answer.text, "is not host:port")
      }
    })
  )

  it.live("two candidates that each take the other for the leader do not forward in circles", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo, { waitLimit: "1 second" })
      const b = yield* Candidates.start("b", echo, { waitLimit: "1 second" })
      yield* a.follow("b", b.address)
      yield* b.follow("a", a.address)
      const answer = yield* ask(`${b.url}/x`, { method: "POST", body: "x" })
      assert.deepStrictEqual(outcome(answer), notDone)
      assert.match(answer.text, /^a does not lead yet, or no more/)
      const hop = yield* ask(`${a.url}/x`, { headers: { "effect-leader-forwarded-by": "b" } })
      assert.deepStrictEqual(outcome(hop), notDone)
      assert.match(hop.text, /^a does not lead reports: b does/)
      const mended = yield* Effect.forkChild(ask(`${b.url}/x`, { method: "POST", body: "x" }))
      yield* Effect.sleep("100 millis")
      yield* a.lead(8n)
      assert.strictEqual((yield* Fiber.join(mended)).status, 201)
    })
  )
})

describe("a leader that cannot be reached", () => {
  it.live("a request that was never sent goes to the next leader, whatever its method and size", () =>
    Effect.gen(function* () {
      const b = yield* Candidates.start("b", echo)
      const c = yield* Candidates.start("c", echo)
      yield* b.follow("a", yield* Candidates.deadAddress)
      const large = new Uint8Array(2 * 1_048_576).fill(120)
      const asking = yield* Effect.forkChild(
        Effect.all(
          [ask(`${b.url}/x`, { method: "POST", body: "hello" }), ask(`${b.url}/x`, { method: "POST", body: large })],
          {
            concurrency: 2
          }
        )
      )
      yield* Effect.sleep("500 millis")
      yield* c.lead(8n)
      yield* b.follow("c", c.address)
      const [small, big] = yield* Fiber.join(asking)
      assert.strictEqual(JSON.parse(small.text).body, "hello")
      assert.strictEqual(JSON.parse(big.text).body.length, large.length)
    })
  )

  it.live("is told after the wait limit", () =>
    Effect.gen(function* () {
      const b = yield* Candidates.start("b", echo, { waitLimit: "500 millis" })
      const address = yield* Candidates.deadAddress
      yield* b.follow("a", address)
      const answer = yield* ask(`${b.url}/x`, { method: "POST", body: "x" })
      assert.deepStrictEqual(outcome(answer), notDone)
      assert.include(answer.text, `a at ${address} did not answer (ECONNREFUSED)`)
    })
  )
})

describe("a leader that dies with a request in its hands", () => {
  const attempts = [
    { method: "GET", again: true },
    { method: "DELETE", again: true },
    { method: "PUT", body: "x", again: true },
    { method: "POST", body: "x", again: false },
    { method: "PATCH", body: "x", again: false },
    { method: "POST", body: "x", headers: { "idempotency-key": "k1" }, again: true },
    { method: "PUT", body: "x".repeat(5_000), again: false }
  ]
  for (const { again, ...init } of attempts) {
    const what = `${init.method}${"headers" in init ? " with a key" : ""}${(init.body?.length ?? 0) > 1_000 ? " with a body that is not kept" : ""}`
    it.live(`${what} is ${again ? "sent to the next one" : "not sent again"}`, () =>
      Effect.gen(function* () {
        const dying = yield* Candidates.brokenPeer((socket) => socket.destroy())
        const b = yield* Candidates.start("b", echo, { waitLimit: "2 seconds", maxBufferedBody: 1_000 })
        const c = yield* Candidates.start("c", echo)
        yield* c.lead(8n)
        yield* b.follow("a", dying.address)
        const asking = yield* Effect.forkChild(ask(`${b.url}/x`, init))
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => dying.requests() > 0 })
        yield* b.follow("c", c.address)
        const answer = yield* Fiber.join(asking)
        if (again) return assert.strictEqual(answer.status, 201)
        const retryAfter = init.method === "PUT" ? "1" : null
        assert.deepStrictEqual(outcome(answer), { status: 502, outcome: "in-doubt", retryAfter })
        assert.strictEqual(dying.requests(), 1)
      })
    )
  }

  it.live("what was once in doubt is not called undone later", () =>
    Effect.gen(function* () {
      const dying = yield* Candidates.brokenPeer((socket) => socket.destroy())
      const b = yield* Candidates.start("b", echo, { waitLimit: "1 second" })
      yield* b.follow("a", dying.address)
      const asking = yield* Effect.forkChild(ask(`${b.url}/x`, { method: "DELETE" }))
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => dying.requests() > 0 })
      yield* b.wait
      assert.deepStrictEqual(outcome(yield* Fiber.join(asking)), { status: 502, outcome: "in-doubt", retryAfter: "1" })
    })
  )

  it.live("one that is frozen is given up when another leads", () =>
    Effect.gen(function* () {
      const frozen = yield* Candidates.brokenPeer(() => {})
      const b = yield* Candidates.start("b", echo)
      const c = yield* Candidates.start("c", echo)
      yield* c.lead(8n)
      yield* b.follow("a", frozen.address)
      const asking = yield* Effect.forkChild(
        Effect.all([ask(`${b.url}/x`), ask(`${b.url}/x`, { method: "POST", body: "x" })], { concurrency: 2 })
      )
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => frozen.requests() > 1 })
      yield* b.follow("c", c.address)
      const [read, write] = yield* Fiber.join(asking)
      assert.strictEqual(read.status, 201)
      assert.deepStrictEqual(outcome(write), { status: 502, outcome: "in-doubt", retryAfter: null })
    })
  )

  it.live("a part of an answer is not taken for the whole", () =>
    Effect.gen(function* () {
      const dying = yield* Candidates.brokenPeer((socket) => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", () => socket.destroy())
      })
      const b = yield* Candidates.start("b", echo)
      yield* b.follow("a", dying.address)
      const answer = yield* Effect.exit(Effect.tryPromise(async () => (await fetch(`${b.url}/x`)).text()))
      assert.strictEqual(answer._tag, "Failure")
    })
  )
})

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
      yield* a.lead(7n)
      const response = yield* Effect.promise(() => fetch(`${a.url}/x`))
      const reader = response.body?.getReader()
      yield* Effect.promise(async () => reader?.read())
      yield* a.wait
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

describe("redirecting to the leader", () => {
  const start = Effect.fnUntraced(function* (identity: string) {
    const server = yield* Server.listen()
    const scripted = yield* ScriptedElection.make(identity, server.address)
    const middleware = LeaderForwarding.layerRedirect({ waitLimit: "300 millis" })
    const served = yield* server.serve(echo.pipe(Layer.provide(middleware), Layer.provide(scripted.layer)))
    return { ...scripted, ...served }
  })

  it.live("says where it is, and keeps method and body", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const { headers, status } = yield* ask(`${b.url}/c?x=1+2&y=%2F`, { method: "POST", body: "x" })
      assert.deepStrictEqual([status, headers.get("location")], [307, `${a.url}/c?x=1+2&y=%2F`])
      assert.strictEqual(headers.get("cache-control"), "no-store")
      const followed = yield* ask(`${b.url}/c`, { method: "POST", body: "x", redirect: "follow" })
      assert.strictEqual(JSON.parse(followed.text).body, "x")
      yield* b.wait
      assert.deepStrictEqual(outcome(yield* ask(`${b.url}/c`)), notDone)
    })
  )
})

describe("types", () => {
  it("a handler of leader work does not compile without the middleware, nor under another election's", () => {
    class Reports extends LeaderElection.Service<Reports>()("test/Reports") {}
    const served = (routes: Layer.Layer<never, never, HttpRouter.HttpRouter | Reports>) => routes
    const handler = HttpRouter.add(
      "GET",
      "/x",
      Effect.flatMap(HttpServerRequest.HttpServerRequest, () => Effect.as(Reports.Term, HttpServerResponse.empty()))
    )
    // @ts-expect-error it requires the Term of a request
    served(handler)
    // @ts-expect-error the Term of another election is no help
    served(handler.pipe(Layer.provide(LeaderForwarding.layerRedirect())))
    served(handler.pipe(Layer.provide(LeaderForwarding.layerRedirect({ election: Reports }))))
  })
})
