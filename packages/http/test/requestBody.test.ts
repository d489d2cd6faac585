/**
 * Bodies that no header announces: over HTTP/2, and of a web `Request`. A follower that took them for none would have the
 * leader acknowledge an empty write.
 */
import { LeaderElection, Term } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Http2 from "node:http2"
import * as Asking from "./Asking.ts"
import * as Candidates from "./Candidates.ts"
import * as ScriptedElection from "./ScriptedElection.ts"

const echo: Candidates.Handlers = HttpRouter.add("*", "/*", (request) =>
  Effect.gen(function* () {
    yield* LeaderElection.Term
    const body = yield* Effect.orDie(request.text)
    const { "content-length": length = "none", "transfer-encoding": coding = "none" } = request.headers
    return HttpServerResponse.text(`${request.method} "${body}" length ${length}, coding ${coding}`)
  })
)

/** One request on a connection of its own. */
const askHttp2 = (address: string, method: string, body?: string) =>
  Effect.callback<string>((resume) => {
    const session = Http2.connect(`http://${address}`)
    const die = (error: unknown) => resume(Effect.die(error))
    session.on("error", die)
    const stream = session.request({ ":method": method, ":path": "/x" }, { endStream: body === undefined })
    let answer = ""
    stream.setEncoding("utf8")
    stream.on("response", (headers) => (answer += `${headers[":status"]} `))
    stream.on("data", (text) => (answer += text))
    stream.on("error", die)
    stream.on("end", () => {
      session.close()
      resume(Effect.succeed(answer))
    })
    if (body !== undefined) stream.end(body)
    return Effect.sync(() => session.destroy())
  })

const http2 = { makeServer: () => Http2.createServer() }

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
