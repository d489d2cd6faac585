/**
 * Each fault of the proxy alone, as a plain client sees it and as the server behind sees it.
 */
import { assert, describe } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { IncomingMessage } from "node:http"
import * as Https from "node:https"
import { at, textAt } from "./ApiClient.ts"
import { holderOf, reports } from "./embedded.ts"
import { breaks, hangs, isStored, Proxied, proxied, Server, timed, untilStored } from "./proxied.ts"
import { lease, leases } from "./semantics/leases.ts"

const put = (name: string) =>
  Effect.flatMap(Proxied, ({ client }) => client.ask("PUT", `${leases}/${name}`, { body: lease(name) }))
const get = Effect.flatMap(Proxied, ({ client }) => client.ask("GET", leases))
const watch = Effect.flatMap(Proxied, ({ client }) => client.watch(`${leases}?watch=true`))
const hold = (holder: string) => Effect.flatMap(Server, ({ store }) => store.put("leases", "default", reports(holder)))
/** A single request, for what the plain client does not tell. */
const headersOf = ({ ca, url }: FaultProxy.FaultProxy) =>
  Effect.callback<IncomingMessage>((resume) => {
    Https.get(`${url}${leases}`, { ca }, (answer) => resume(Effect.succeed(answer.resume())))
  })
const inject = (rule: FaultProxy.Rule) => Effect.flatMap(Proxied, ({ proxy }) => proxy.inject(rule))

describe("without rules", () => {
  proxied(
    "requests, refusals and tokens pass as they are",
    Effect.gen(function* () {
      const { client } = yield* Proxied
      assert.strictEqual((yield* put("a")).status, 201)
      const list = yield* get
      assert.strictEqual(at(list.body, "kind"), "LeaseList")
      assert.strictEqual((yield* client.ask("GET", `${leases}/missing`)).status, 404)
      assert.strictEqual((yield* client.ask("GET", leases, { token: "wrong" })).status, 401)
    })
  )

  proxied(
    "an event of a watch passes at once, and a client that goes away ends its watch on the server",
    Effect.gen(function* () {
      const { proxy } = yield* Proxied
      yield* Effect.scoped(
        Effect.gen(function* () {
          const events = yield* watch
          yield* hold("a")
          assert.strictEqual(holderOf(yield* events.next), "a")
          assert.strictEqual((yield* proxy.counts).openWatches, 1)
        })
      )
      yield* proxy.counts.pipe(
        Effect.delay("5 millis"),
        Effect.repeat({ until: ({ connections, openWatches }) => openWatches === 0 && connections.open === 0 })
      )
    })
  )

  proxied(
    "a server that is away resets the client's connection, and serves it again when it is back",
    Effect.gen(function* () {
      const { start, stop } = yield* Server
      yield* get
      yield* stop
      yield* breaks(get)
      yield* start
      assert.strictEqual((yield* get).status, 200)
    })
  )

  proxied(
    "it counts, and keeps when each request came, was sent on and was answered",
    Effect.gen(function* () {
      const { proxy } = yield* Proxied
      yield* inject({ on: { method: "PUT" }, fault: FaultProxy.serverError() })
      yield* get
      yield* put("a")
      const counts = yield* proxy.counts
      assert.deepStrictEqual(
        { requests: counts.requests, passed: counts.passed, faults: counts.faults },
        { requests: 2, passed: 1, faults: { Answer: 1 } }
      )
      assert.deepStrictEqual(counts.connections, { made: 1, open: 1 })
      const [first, second] = yield* proxy.requests
      const { at: carriedOutAt, status } = Option.getOrThrow(first?.carriedOut ?? Option.none())
      const answeredAt = Option.getOrThrow(first?.answeredAt ?? Option.none())
      assert.isTrue((first?.at ?? 0n) <= carriedOutAt && carriedOutAt <= answeredAt)
      assert.deepStrictEqual([status, first?.fault], [200, Option.none()])
      assert.deepStrictEqual([second?.fault, second?.carriedOut], [Option.some("Answer"), Option.none()])
    })
  )
})

describe("which requests", () => {
  proxied(
    "a rule hits by method, path and kind, and the others pass",
    Effect.gen(function* () {
      const { client } = yield* Proxied
      yield* inject({ on: { method: ["PUT", "POST"], path: "/leases/a" }, fault: FaultProxy.serverError() })
      yield* inject({ on: { path: /leases\/b$/, watch: false }, fault: FaultProxy.tooManyRequests(3) })
      assert.strictEqual((yield* put("a")).status, 500)
      assert.strictEqual((yield* client.ask("GET", `${leases}/a`)).status, 404)
      assert.strictEqual((yield* put("b")).status, 429)
      assert.strictEqual((yield* put("c")).status, 201)
    })
  )

  proxied(
    "nth and times choose among those that match, and a rule that was healed hits nothing",
    Effect.gen(function* () {
      const statuses = Effect.fnUntraced(function* (on: FaultProxy.Match) {
        const rule = yield* inject({ on, fault: FaultProxy.serverError() })
        const answers = yield* Effect.forEach([1, 2, 3, 4], () => get)
        const hits = yield* rule.hits
        yield* rule.heal
        assert.strictEqual((yield* get).status, 200)
        assert.strictEqual(hits, answers.filter(({ status }) => status === 500).length)
        return answers.map(({ status }) => status)
      })
      assert.deepStrictEqual(yield* statuses({ nth: 2 }), [200, 500, 200, 200])
      assert.deepStrictEqual(yield* statuses({ times: 2 }), [500, 500, 200, 200])
      assert.deepStrictEqual(yield* statuses({ nth: 2, times: 2 }), [200, 500, 500, 200])
      assert.deepStrictEqual(yield* statuses({ method: "PUT" }), [200, 200, 200, 200])
    })
  )

  proxied(
    "of two rules the one set first decides, as long as it lasts",
    Effect.gen(function* () {
      yield* inject({ on: { times: 1 }, fault: FaultProxy.serverError() })
      yield* inject({ fault: FaultProxy.tooManyRequests(1) })
      assert.deepStrictEqual([(yield* get).status, (yield* get).status], [500, 429])
    })
  )

  proxied(
    "healAll ends all rules, those for connections too",
    Effect.gen(function* () {
      const { proxy } = yield* Proxied
      yield* inject({ fault: FaultProxy.serverError() })
      yield* inject({ fault: FaultProxy.resetConnections })
      yield* breaks(get)
      yield* proxy.healAll
      assert.strictEqual((yield* get).status, 200)
    })
  )
})

describe("delays and black holes", () => {
  proxied(
    "a delayed request reaches the server later",
    Effect.gen(function* () {
      yield* inject({ fault: FaultProxy.delayRequest("200 millis") })
      const asked = yield* Effect.forkScoped(timed(put("a")), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      assert.isFalse(yield* isStored("a"))
      const { millis, value } = yield* Fiber.join(asked)
      assert.strictEqual(value.status, 201)
      assert.isAtLeast(millis, 199)
    })
  )

  proxied(
    "a delayed request reaches the server even if its client has gone",
    Effect.gen(function* () {
      yield* inject({ fault: FaultProxy.delayRequest("200 millis") })
      yield* hangs(put("a"))
      assert.isFalse(yield* isStored("a"))
      yield* untilStored("a")
    })
  )

  proxied(
    "a delayed answer: the server has carried the request out, the client hears of it later",
    Effect.gen(function* () {
      const { client, proxy } = yield* Proxied
      const rule = yield* inject({ on: { method: "PUT", times: 1 }, fault: FaultProxy.delayAnswer("400 millis") })
      const asked = yield* Effect.forkScoped(timed(put("a")), { startImmediately: true })
      yield* rule.untilHit
      yield* untilStored("a")
      assert.isUndefined(asked.pollUnsafe())
      assert.strictEqual((yield* client.ask("GET", `${leases}/a`)).status, 200)
      const { millis, value } = yield* Fiber.join(asked)
      assert.strictEqual(value.status, 201)
      assert.isAtLeast(millis, 399)
      const [late] = yield* proxy.requests
      const { at } = Option.getOrThrow(late?.carriedOut ?? Option.none())
      assert.isAtLeast(Number(Option.getOrThrow(late?.answeredAt ?? Option.none()) - at), 399e6)
    })
  )

  proxied(
    "each event of a delayed watch is late by the same time",
    Effect.gen(function* () {
      yield* inject({ on: { watch: true }, fault: FaultProxy.delayAnswer("200 millis") })
      const events = yield* watch
      yield* hold("a")
      yield* hold("b")
      const { millis } = yield* timed(events.next)
      const { millis: second, value } = yield* timed(events.next)
      assert.isAtLeast(millis, 150)
      assert.isBelow(second, 150)
      assert.strictEqual(holderOf(value), "b")
    })
  )

  proxied(
    "a black hole swallows requests, also after it is healed; another one carries them out",
    Effect.gen(function* () {
      const rule = yield* inject({ on: { path: "/leases/a" }, fault: FaultProxy.blackHole() })
      yield* inject({ on: { path: "/leases/b" }, fault: FaultProxy.blackHole({ carriedOut: true }) })
      yield* hangs(put("b"))
      assert.isTrue(yield* isStored("b"))
      const asked = yield* Effect.forkScoped(put("a"), { startImmediately: true })
      yield* rule.untilHit
      yield* rule.heal
      yield* Effect.sleep("100 millis")
      assert.isUndefined(asked.pollUnsafe())
      assert.isFalse(yield* isStored("a"))
      assert.strictEqual((yield* get).status, 200)
    })
  )

  proxied(
    "what is held goes on when the rule is healed, even if its client has gone",
    Effect.gen(function* () {
      const rule = yield* inject({ fault: FaultProxy.hold })
      yield* hangs(put("a"))
      const asked = yield* Effect.forkScoped(put("b"), { startImmediately: true })
      yield* rule.hits.pipe(Effect.delay("5 millis"), Effect.repeat({ until: (hits) => hits === 2 }))
      assert.deepStrictEqual([yield* isStored("a"), yield* isStored("b")], [false, false])
      yield* rule.heal
      assert.strictEqual((yield* Fiber.join(asked)).status, 201)
      yield* untilStored("a")
    })
  )

  proxied(
    "an answer that trickles takes its time, and comes whole",
    Effect.gen(function* () {
      yield* put("a")
      const { body } = yield* get
      yield* inject({ fault: FaultProxy.trickle(100, "20 millis") })
      const { millis, value } = yield* timed(get)
      assert.deepStrictEqual(value.body, body)
      assert.isAtLeast(millis, (JSON.stringify(body).length / 100) * 19)
    })
  )
})

describe("answers of others", () => {
  proxied(
    "429 with Retry-After, 500, and a page, none of which the server has heard of",
    Effect.gen(function* () {
      const { proxy } = yield* Proxied
      const { requests } = yield* Server
      yield* inject({ on: { times: 1 }, fault: FaultProxy.tooManyRequests(7) })
      const refused = yield* headersOf(proxy)
      assert.deepStrictEqual([refused.statusCode, refused.headers["retry-after"]], [429, "7"])
      yield* inject({ on: { times: 1 }, fault: FaultProxy.serverError() })
      const failed = yield* put("a")
      assert.deepStrictEqual([failed.status, textAt(failed.body, "reason")], [500, "InternalError"])
      yield* inject({ on: { times: 1 }, fault: FaultProxy.html })
      const page = yield* put("a")
      assert.deepStrictEqual([page.status, page.contentType], [200, "text/html; charset=utf-8"])
      assert.deepStrictEqual(yield* requests, [])
      assert.strictEqual((yield* proxy.counts).faults.Answer, 3)
    })
  )

  proxied(
    "a 500 for a write that was carried out all the same",
    Effect.gen(function* () {
      yield* inject({ fault: FaultProxy.serverError({ carriedOut: true }) })
      assert.strictEqual((yield* put("a")).status, 500)
      assert.isTrue(yield* isStored("a"))
    })
  )
})
