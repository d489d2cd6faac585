/**
 * What is forwarded, and how: the request as the leader gets it, and the answer as the client gets it.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { LeaderElection } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { createServer } from "node:http2"
import { LeaderForwarding } from "../src/index.ts"
import * as Candidates from "./Candidates.ts"
import { ask, askHttp2, askRaw } from "./Client.ts"
import { echo } from "./Echo.ts"

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

  it.live("reaches the leader under its own path, whatever its Host and its scheme say", () =>
    Effect.gen(function* () {
      const b = yield* Candidates.start("b", echo, { makeServer: () => createServer() })
      const c = yield* Candidates.start("c", echo)
      const a = yield* Candidates.start("a", echo)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      yield* c.follow("a", a.address)
      const seen = (answer: string) => /"url":"http:\/\/[^/]*([^"]*)"/.exec(answer)?.[1]
      for (const host of ["x/y", "x/y?", "x?", "x#", "x\\y"]) {
        assert.strictEqual(seen(yield* askRaw(c.address, "PUT /x?z=1", "X-None: 1", "", host)), "/x?z=1", host)
      }
      assert.strictEqual(seen(yield* askHttp2(b.address, "GET", undefined, "h2c")), "/x")
    })
  )

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

  it.live("keeps its Idempotency-Key, whatever Connection says of it", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo)
      const b = yield* Candidates.start("b", echo)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const headers = "Connection: X-Hop, Idempotency-Key\r\nX-Hop: 1\r\nIdempotency-Key: k1"
      const answer = yield* askRaw(b.address, "POST /x", headers)
      assert.include(answer, '"idempotency-key":"k1"')
      assert.notInclude(answer, "x-hop")
    })
  )

  it.live("goes on although a candidate of another election has forwarded it", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start("a", echo)
      const b = yield* Candidates.start("b", echo)
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const headers = { "effect-leader-forwarded-by": "x@default%2Fothers" }
      const answer = yield* ask(`${b.url}/x`, { headers })
      assert.strictEqual(JSON.parse(answer.text).headers["effect-leader-forwarded-by"], "x@default%2Fothers, b@reports")
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
        assert.strictEqual(seen.headers["effect-leader-forwarded-by"], "b%20%C3%BC@reports")
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

  it.live("an answer that streams keeps the type and the length that its handler gave it", () =>
    Effect.gen(function* () {
      const body = Stream.encodeText(Stream.make("data: 1\n\n"))
      const answers: Candidates.Handlers = HttpRouter.add("GET", "/:which", (request) =>
        Effect.as(
          LeaderElection.Term,
          request.url === "/typed"
            ? HttpServerResponse.setHeaders(HttpServerResponse.stream(body), {
                "content-type": "text/event-stream",
                "content-length": "9"
              })
            : HttpServerResponse.stream(body, { contentType: "text/event-stream" })
        )
      )
      const a = yield* Candidates.start("a", answers)
      yield* a.lead(7n)
      const seen = ({ headers }: { readonly headers: Headers }) => [
        headers.get("content-type"),
        headers.get("content-length")
      ]
      assert.deepStrictEqual(seen(yield* ask(`${a.url}/typed`)), ["text/event-stream", "9"])
      assert.deepStrictEqual(seen(yield* ask(`${a.url}/plain`)), ["text/event-stream", null])
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
