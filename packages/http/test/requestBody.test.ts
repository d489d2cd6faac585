/**
 * Bodies that could get lost on the way: those that no header announces, over HTTP/2 and of a web `Request`, and those that
 * were read to be sent to a leader, before this candidate became the leader itself. An empty write would be acknowledged.
 */
import { LeaderElection, Term } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Deferred, Effect, Fiber, Layer, Option, Stream } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse, UrlParams } from "effect/http"
import { createServer } from "node:http2"
import * as Asking from "./Asking.ts"
import * as Candidates from "./Candidates.ts"
import { ask, askHttp2, askRaw } from "./Client.ts"
import * as ScriptedElection from "./ScriptedElection.ts"

const echo: Candidates.Handlers = HttpRouter.add("*", "/*", (request) =>
  Effect.gen(function* () {
    yield* LeaderElection.Term
    const body = yield* Effect.orDie(request.text)
    const { "content-length": length = "none", "transfer-encoding": coding = "none" } = request.headers
    return HttpServerResponse.text(`${request.method} "${body}" length ${length}, coding ${coding}`)
  })
)

/** A server whose clients speak HTTP/2. */
const http2 = { makeServer: () => createServer() }

describe("a request over HTTP/2", () => {
  for (const method of ["POST", "PUT", "DELETE"]) {
    it.live(`${method} reaches the leader with its body`, () =>
      Effect.gen(function* () {
        const a = yield* Candidates.start("a", echo)
        const b = yield* Candidates.start("b", echo, http2)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        assert.strictEqual(
          yield* askHttp2(b.address, method, "hello"),
          `200 ${method} "hello" length none, coding chunked`
        )
      })
    )
  }

  for (const method of ["GET", "DELETE"]) {
    it.live(`${method} without a body reaches the leader without one`, () =>
      Effect.gen(function* () {
        const a = yield* Candidates.start("a", echo)
        const b = yield* Candidates.start("b", echo, http2)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        assert.match(yield* askHttp2(b.address, method), new RegExp(`^200 ${method} "" length (none|0), coding none$`))
      })
    )
  }

  it.live("whose body the own handler took is not handled twice", () =>
    Effect.gen(function* () {
      let times = 0
      const loses: Candidates.Handlers = HttpRouter.add("*", "/*", (request) =>
        Effect.gen(function* () {
          yield* LeaderElection.Term
          times++
          yield* Effect.orDie(request.text)
          return yield* new Term.NotLeading({ reason: "the term ended" })
        })
      )
      const a = yield* Candidates.start("a", loses, { ...http2, waitLimit: "1 second" })
      yield* a.lead(7n)
      assert.match(
        yield* askHttp2(a.address, "PUT", "hello"),
        /^503 not leading: the term ended\. It may have been carried out/
      )
      assert.strictEqual(times, 1)
    })
  )
})

describe("a web Request", () => {
  const text = new TextEncoder().encode("hello")
  const bodies = {
    "a text": () => "hello",
    "a stream": () => new ReadableStream({ start: (it) => (it.enqueue(text), it.close()) })
  }
  for (const [what, body] of Object.entries(bodies)) {
    it.live(`with ${what} reaches the leader with it`, () =>
      Effect.gen(function* () {
        const a = yield* Candidates.start("a", echo)
        const b = yield* ScriptedElection.make("b")
        const ask = yield* Asking.of(Candidates.routes(echo, b))
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        const { status, text } = yield* ask("/x", { method: "POST", body: body(), duplex: "half" })
        assert.deepStrictEqual([status, text], [200, `POST "hello" length none, coding chunked`])
        const bare = yield* ask("/x", { method: "POST" })
        assert.match(bare.text, /^POST "" length (none|0), coding none$/)
      })
    )
  }
})

describe("a request over HTTP/1", () => {
  it.live("whose length is no number that can be counted is not taken for one without a body", () =>
    Effect.gen(function* () {
      let handled = 0
      const counts: Candidates.Handlers = HttpRouter.add("PUT", "/x", (request) =>
        Effect.gen(function* () {
          yield* LeaderElection.Term
          yield* Effect.orDie(request.text)
          handled++
          return HttpServerResponse.empty()
        })
      )
      const a = yield* Candidates.start("a", counts)
      const b = yield* Candidates.start("b", counts)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const asking = askRaw(b.address, "PUT /x", "Content-Length: 9007199254740992", "hello")
      // Its body never comes to an end.
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(asking, "500 millis")))
      assert.strictEqual(handled, 0)
    })
  )

  for (const [announced, body] of [
    ["Content-Length: 5", "hello"],
    ["Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"]
  ] as const) {
    it.live(`that is a WebSocket handshake with a body is refused by whoever is asked: ${announced}`, () =>
      Effect.gen(function* () {
        const a = yield* Candidates.start("a", echo)
        const b = yield* Candidates.start("b", echo)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        const handshake = "Connection: Upgrade\r\nUpgrade: WebSocket"
        for (const { address } of [a, b]) {
          assert.match(yield* askRaw(address, "PUT /x", `${handshake}\r\n${announced}`, body), /^HTTP\/1.1 400 /)
          assert.match(yield* askRaw(address, "PUT /x", handshake), /PUT ""/)
        }
      })
    )
  }

  it.live("whose first part a middleware has looked at is not sent on without it", () =>
    Effect.gen(function* () {
      const looks: Candidates.Handlers = Layer.provide(
        echo,
        HttpRouter.middleware(
          (handled) =>
            Effect.andThen(
              Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ stream }) => Effect.orDie(Stream.runHead(stream))),
              handled
            ),
          { global: true }
        )
      )
      const a = yield* Candidates.start("a", echo)
      const b = yield* Candidates.start("b", looks)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const mayGoOn = yield* Deferred.make<void>()
      const parts = Stream.encodeText(
        Stream.concat(Stream.make("first-"), Stream.fromEffect(Effect.as(Deferred.await(mayGoOn), "second")))
      )
      const body = yield* Stream.toReadableStreamEffect(parts)
      const asking = yield* Effect.forkChild(ask(`${b.url}/x`, { method: "PUT", body, duplex: "half" }))
      yield* Effect.sleep("100 millis")
      yield* Deferred.succeed(mayGoOn, undefined)
      assert.strictEqual((yield* Fiber.join(asking)).status, 500)
    })
  )

  it.live("that is longer than the whole program takes is the leader's to refuse", () =>
    Effect.gen(function* () {
      const reads: Candidates.Handlers = HttpRouter.add("PUT", "/x", (request) =>
        Effect.andThen(LeaderElection.Term, request.arrayBuffer).pipe(
          Effect.as(HttpServerResponse.empty()),
          Effect.catch(() => Effect.succeed(HttpServerResponse.empty({ status: 413 })))
        )
      )
      const limited = (handlers: Candidates.Handlers): Candidates.Handlers =>
        Layer.provide(
          handlers,
          HttpRouter.middleware(Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(2)), {
            global: true
          })
        )
      const a = yield* Candidates.start("a", limited(reads))
      const b = yield* Candidates.start("b", limited(reads))
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      for (const { url } of [a, b]) {
        assert.strictEqual((yield* ask(`${url}/x`, { method: "PUT", body: "hello" })).status, 413)
      }
    })
  )
})

describe("a body that was read before it comes here", () => {
  const large = "x".repeat(2 * 1_048_576)
  const chunked = (text: string) => ({
    body: new Response(text).body,
    duplex: "half" as const
  })
  const before = (read: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<unknown, unknown>) =>
    HttpRouter.middleware(
      (handled) =>
        Effect.andThen(
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.orDie(read(request))),
          handled
        ),
      { global: true }
    )
  const length: Candidates.Handlers = HttpRouter.add("PUT", "/x", (request) =>
    Effect.andThen(LeaderElection.Term, Effect.orDie(request.text)).pipe(
      Effect.map((text) => HttpServerResponse.text(String(text.length)))
    )
  )
  const bodies: Readonly<Record<string, () => RequestInit>> = {
    "a short body": () => ({ body: "hello" }),
    "a long body": () => ({ body: large }),
    "a short one in chunks": () => chunked("hello"),
    "a long one in chunks": () => chunked(large)
  }

  for (const [what, init] of Object.entries(bodies)) {
    const expected = what.includes("long") ? String(large.length) : "5"
    it.live(`reaches the leader whole if it was kept: ${what}`, () =>
      Effect.gen(function* () {
        const signed = Layer.provide(
          length,
          before((request) => request.text)
        )
        const a = yield* Candidates.start("a", signed)
        const b = yield* Candidates.start("b", signed)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        for (const { url } of [a, b]) {
          assert.strictEqual((yield* ask(`${url}/x`, { method: "PUT", ...init() })).text, expected)
        }
      })
    )

    it.live(`is not taken for an empty one if it is gone: ${what}`, () =>
      Effect.gen(function* () {
        const takes = Layer.provide(
          length,
          before((request) => Stream.runDrain(request.stream))
        )
        const a = yield* Candidates.start("a", length)
        const b = yield* Candidates.start("b", takes)
        yield* a.lead(7n)
        yield* b.follow("a", a.address)
        const answer = yield* ask(`${b.url}/x`, { method: "PUT", ...init() })
        assert.strictEqual(answer.status, 500)
        assert.include(answer.text, "had been read before it could be sent to a")
      })
    )
  }
})

describe("a request that was sent to a leader in vain", () => {
  const readings: Readonly<
    Record<string, (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<string, unknown>>
  > = {
    text: (request) => request.text,
    json: (request) => Effect.map(request.json, (value) => JSON.stringify(value)),
    arrayBuffer: (request) => Effect.map(request.arrayBuffer, (bytes) => new TextDecoder().decode(bytes)),
    stream: (request) => Stream.mkString(Stream.decodeText(request.stream)),
    "stream, after another has read it": (request) =>
      Effect.andThen(request.text, Stream.mkString(Stream.decodeText(request.stream))),
    "text of a request that was modified": (request) => request.modify({ headers: request.headers }).text,
    urlParamsBody: (request) => Effect.map(request.urlParamsBody, (params) => UrlParams.toString(params)),
    multipartStream: (request) =>
      Effect.map(Stream.runCollect(request.multipartStream), (parts) =>
        parts.map((part) => (part._tag === "Field" ? `${part.key}=${part.value}` : part.name)).join()
      )
  }
  const form = '--limit\r\ncontent-disposition: form-data; name="one"\r\n\r\n1\r\n--limit--\r\n'
  const sent: Readonly<Record<string, readonly [type: string, body: string, read: string]>> = {
    urlParamsBody: ["application/x-www-form-urlencoded", "a=1&b=2", "a=1&b=2"],
    multipartStream: ["multipart/form-data; boundary=limit", form, "one=1"]
  }

  /** A follower whose leader is gone becomes the leader while the request waits. */
  const sendThenLead = Effect.fnUntraced(function* (handlers: Candidates.Handlers, init: RequestInit) {
    const b = yield* Candidates.start("b", handlers)
    yield* b.follow("a", yield* Candidates.deadAddress)
    const asking = yield* Effect.forkChild(ask(`${b.url}/x?y=1`, { method: "POST", ...init }))
    yield* Effect.sleep("150 millis")
    yield* b.lead(7n)
    return yield* Fiber.join(asking)
  })

  for (const [how, read] of Object.entries(readings)) {
    it.live(`is handled with its body when this candidate leads itself: ${how}`, () =>
      Effect.gen(function* () {
        const handlers: Candidates.Handlers = HttpRouter.add("POST", "/x", (request) =>
          Effect.gen(function* () {
            yield* LeaderElection.Term
            const { headers, method, url } = request
            const body = yield* Effect.orDie(read(request))
            return HttpServerResponse.text(`${method} ${url} ${headers["x-mine"]} ${body}`)
          })
        )
        const [type, body, expected] = sent[how] ?? ["application/json", '{"one":1}', '{"one":1}']
        const headers = { "content-type": type, "x-mine": "yes" }
        assert.strictEqual((yield* sendThenLead(handlers, { body, headers })).text, `POST /x?y=1 yes ${expected}`)
      })
    )
  }

  it.live("is held to the handler's own limit", () =>
    Effect.gen(function* () {
      const handlers: Candidates.Handlers = HttpRouter.add("POST", "/x", (request) =>
        Effect.andThen(LeaderElection.Term, Effect.exit(request.arrayBuffer)).pipe(
          Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(2)),
          Effect.map((exit) => HttpServerResponse.text(exit._tag))
        )
      )
      assert.strictEqual((yield* sendThenLead(handlers, { body: "hello" })).text, "Failure")
    })
  )
})
