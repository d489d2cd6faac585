/**
 * Requests that wait for a leader, or lose theirs: nobody leads, or who does cannot be reached, dies, or freezes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import * as Candidates from "./Candidates.ts"
import { ask, notDone, outcome } from "./Client.ts"
import { echo } from "./Echo.ts"
import * as ScriptedElection from "./ScriptedElection.ts"

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
      const hop = yield* ask(`${a.url}/x`, { headers: { "effect-leader-forwarded-by": "b@reports" } })
      assert.deepStrictEqual(outcome(hop), notDone)
      assert.match(hop.text, /^a does not lead reports: b does/)
      // With another election's hop in between, as a route of two elections can have it.
      const round = yield* ask(`${a.url}/x`, { headers: { "effect-leader-forwarded-by": "b@reports, x@others" } })
      assert.deepStrictEqual(outcome(round), notDone)
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

  it.live("one that breaks each time is asked a few times", () =>
    Effect.gen(function* () {
      const breaking = yield* Candidates.brokenPeer((socket) => socket.destroy())
      const b = yield* Candidates.start("b", echo, { waitLimit: "3 seconds" })
      yield* b.follow("a", breaking.address)
      const answer = yield* ask(`${b.url}/x`, { method: "PUT", body: "x" })
      assert.deepStrictEqual(outcome(answer), { status: 502, outcome: "in-doubt", retryAfter: "1" })
      // After 0, 0.2, 0.6, 1.4 and 3 seconds at the soonest.
      assert.isAtMost(breaking.requests(), 5)
    })
  )

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
