/**
 * The faults of connections and of watches, as a plain client sees them and as the server behind sees them.
 */
import { assert, describe } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { holderOf, reports } from "./embedded.ts"
import { breaks, hangs, isStored, Proxied, proxied, Server, untilStored } from "./proxied.ts"
import { lease, leases } from "./semantics/leases.ts"

const put = (name: string) =>
  Effect.flatMap(Proxied, ({ client }) => client.ask("PUT", `${leases}/${name}`, { body: lease(name) }))
const get = Effect.flatMap(Proxied, ({ client }) => client.ask("GET", leases))
const watch = Effect.flatMap(Proxied, ({ client }) => client.watch(`${leases}?watch=true`))
const hold = (holder: string) => Effect.flatMap(Server, ({ store }) => store.put("leases", "default", reports(holder)))
const inject = (rule: FaultProxy.Rule) => Effect.flatMap(Proxied, ({ proxy }) => proxy.inject(rule))

describe("resets", () => {
  proxied(
    "before the server gets the request, and after it has carried it out",
    Effect.gen(function* () {
      yield* inject({ on: { path: "/leases/a" }, fault: FaultProxy.reset() })
      yield* inject({ on: { path: "/leases/b" }, fault: FaultProxy.reset({ carriedOut: true }) })
      yield* breaks(put("a"))
      yield* breaks(put("b"))
      assert.deepStrictEqual([yield* isStored("a"), yield* isStored("b")], [false, true])
      assert.strictEqual((yield* put("c")).status, 201)
    })
  )

  proxied(
    "in the middle of an answer",
    Effect.gen(function* () {
      yield* inject({ fault: FaultProxy.reset({ afterBytes: 20 }) })
      yield* breaks(put("a"))
      assert.isTrue(yield* isStored("a"))
    })
  )

  proxied(
    "of one connection only; a rule for watches cuts those that are open, and those that come",
    Effect.gen(function* () {
      const events = yield* watch
      yield* inject({ on: { method: "PUT" }, fault: FaultProxy.reset() })
      yield* breaks(put("a"))
      yield* hold("a")
      assert.strictEqual(holderOf(yield* events.next), "a")
      const rule = yield* inject({ on: { watch: true }, fault: FaultProxy.reset() })
      assert.isFalse(yield* events.ended)
      yield* Effect.flip(watch)
      yield* rule.heal
      const again = yield* watch
      assert.strictEqual(holderOf(yield* again.next), "a")
    })
  )

  proxied(
    "of all connections, and of new ones, until it is healed",
    Effect.gen(function* () {
      const { proxy } = yield* Proxied
      const events = yield* watch
      const rule = yield* inject({ fault: FaultProxy.resetConnections })
      assert.isFalse(yield* events.ended)
      yield* breaks(get)
      assert.strictEqual((yield* proxy.counts).connections.open, 0)
      yield* rule.heal
      assert.strictEqual((yield* get).status, 200)
    })
  )
})

describe("silence", () => {
  proxied(
    "a watch that is open falls silent, loses what happens, and goes on after the rule is healed",
    Effect.gen(function* () {
      const events = yield* watch
      yield* hold("a")
      assert.strictEqual(holderOf(yield* events.next), "a")
      const rule = yield* inject({ on: { watch: true }, fault: FaultProxy.silentWatch })
      assert.strictEqual(yield* rule.hits, 1)
      yield* hold("b")
      yield* hangs(events.next)
      assert.strictEqual((yield* get).status, 200)
      yield* rule.heal
      yield* hold("c")
      assert.strictEqual(holderOf(yield* events.next), "c")
    })
  )

  proxied(
    "a watch that comes under the rule opens and tells nothing",
    Effect.gen(function* () {
      yield* inject({ on: { watch: true }, fault: FaultProxy.silentWatch })
      yield* hold("a")
      const events = yield* watch
      yield* hangs(events.next)
    })
  )

  proxied(
    "a watch that is refused under the rule is told so, whole",
    Effect.gen(function* () {
      const { client } = yield* Proxied
      yield* inject({ on: { watch: true }, fault: FaultProxy.silentWatch })
      const refused = yield* client.ask("GET", "/apis/none?watch=true")
      assert.strictEqual(refused.status, 404)
    })
  )

  proxied(
    "a partition moves no byte of open and of new connections, and what was sent arrives when it ends",
    Effect.gen(function* () {
      const { anotherClient, proxy } = yield* Proxied
      const events = yield* watch
      yield* get
      const rule = yield* inject({ fault: FaultProxy.partition })
      yield* hold("a")
      const old = yield* Effect.forkScoped(put("b"), { startImmediately: true })
      const stranger = yield* anotherClient
      const fresh = yield* Effect.forkScoped(stranger.ask("GET", leases), { startImmediately: true })
      const event = yield* Effect.forkScoped(events.next, { startImmediately: true })
      yield* Effect.sleep("200 millis")
      assert.isTrue([old, fresh, event].every((fiber) => fiber.pollUnsafe() === undefined))
      assert.isFalse(yield* isStored("b"))
      const { requests } = yield* proxy.counts
      assert.strictEqual(requests, 2)
      yield* rule.heal
      assert.strictEqual((yield* Fiber.join(old)).status, 201)
      assert.strictEqual((yield* Fiber.join(fresh)).status, 200)
      assert.strictEqual(holderOf(yield* Fiber.join(event)), "a")
      yield* untilStored("b")
    })
  )
})

describe("an expired certificate", () => {
  proxied(
    "cuts what is open, is refused by every client, and is forgotten when it is healed",
    Effect.gen(function* () {
      const { anotherClient } = yield* Proxied
      const events = yield* watch
      const rule = yield* inject({ fault: FaultProxy.expiredCertificate })
      assert.isFalse(yield* events.ended)
      const stranger = yield* anotherClient
      for (const ask of [get, stranger.ask("GET", leases)]) {
        const error = yield* Effect.flip(ask)
        assert.strictEqual("code" in error && error.code, "CERT_HAS_EXPIRED")
      }
      yield* rule.heal
      assert.strictEqual((yield* get).status, 200)
    })
  )
})

describe("nothing is left", () => {
  proxied(
    "when the scope ends under faults that hold requests, delay answers and keep connections silent",
    Effect.gen(function* () {
      yield* inject({ on: { path: "/leases/a" }, fault: FaultProxy.hold })
      yield* inject({ on: { path: "/leases/b" }, fault: FaultProxy.delayAnswer("1 hour") })
      yield* watch
      yield* hangs(put("a"))
      yield* Effect.forkScoped(Effect.ignore(put("b")), { startImmediately: true })
      yield* untilStored("b")
      yield* inject({ fault: FaultProxy.partition })
    })
  )
})
