/**
 * Real elections and real servers: what clients see of a leader that goes.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Scope, Stream, SubscriptionRef } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { LeaderForwarding, LeaderHealth } from "../src/index.ts"
import * as Server from "./Server.ts"

interface Write {
  readonly key: string
  readonly token: bigint
}

const timings = {
  leaseDuration: "3 seconds",
  renewDeadline: "2 seconds",
  retryPeriod: "300 millis",
  drainTimeout: "500 millis"
} as const

const start = Effect.fnUntraced(function* (
  lock: Context.Context<LeaseLock.LeaseLock>,
  identity: string,
  writes: Array<Write>,
  more: Layer.Layer<never, never, LeaderElection.LeaderElection | HttpRouter.HttpRouter> = Layer.empty
) {
  const server = yield* Server.listen(0, "2 seconds")
  const scope = yield* Scope.make()
  const election = yield* LeaderElection.layer({ identity, address: server.address, ...timings }).pipe(
    Layer.provide(Layer.succeedContext(lock)),
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const routes = HttpRouter.add(
    "PUT",
    "/:key",
    Effect.gen(function* () {
      const { token } = yield* LeaderElection.Term
      const { key = "" } = yield* HttpRouter.params
      yield* Effect.sleep("5 millis")
      writes.push({ key, token })
      return HttpServerResponse.text(key)
    })
  ).pipe(
    Layer.provide(LeaderForwarding.layer({ waitLimit: "10 seconds" })),
    Layer.merge(more),
    Layer.provide(Layer.succeedContext(election)),
    Layer.provide(Layer.fresh(NodeHttpClient.layerUndici))
  )
  const { close, url } = yield* server.serve(routes)
  // As a program ends: first the server, then the election.
  return {
    url,
    close: Effect.andThen(close, Scope.close(scope, Exit.void)),
    ...Context.get(election, LeaderElection.LeaderElection)
  }
})

describe("a handover under load", () => {
  it.live("loses no request that a follower is asked, and the tokens of the writes never fall", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const writes: Array<Write> = []
      const a = yield* start(lock, "a", writes)
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => a.isLeader })
      const b = yield* start(lock, "b", writes)
      const put = (key: string) =>
        Effect.promise(async (signal) => {
          const headers = { connection: "close" }
          const response = await fetch(`${b.url}/${key}`, { method: "PUT", body: "x", headers, signal })
          return `${response.status} ${await response.text()}`
        })
      const load = { isOver: false }
      const client = Effect.fnUntraced(function* (name: string) {
        for (let turn = 0; !load.isOver; turn++)
          assert.strictEqual(yield* put(`${name}-${turn}`), `200 ${name}-${turn}`)
      })
      const clients = yield* Effect.forkChild(
        Effect.forEach(["c1", "c2", "c3", "c4", "c5"], client, { concurrency: "unbounded", discard: true })
      )
      const written = (by: (token: bigint) => boolean) =>
        Effect.repeat(Effect.sleep("10 millis"), { until: () => writes.filter(({ token }) => by(token)).length > 50 })
      yield* Effect.raceFirst(
        Fiber.join(clients),
        written(() => true)
      )
      const last = writes.at(-1)?.token ?? 0n
      yield* a.close
      yield* Effect.raceFirst(
        Fiber.join(clients),
        written((token) => token > last)
      )
      load.isOver = true
      yield* Fiber.join(clients)
      const tokens = writes.map(({ token }) => token)
      assert.deepStrictEqual(
        tokens,
        tokens.toSorted((one, other) => Number(one - other))
      )
    })
  )
})

describe("layerHandover", () => {
  it.live("gives the lock back while the server answers, and what reaches it then goes to the next leader", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const writes: Array<Write> = []
      const late = yield* Deferred.make<number>()
      let ready = 0
      const put = (key: string) =>
        Effect.promise(async (signal) => {
          const headers = { connection: "close" }
          return (await fetch(`${a.url}/${key}`, { method: "PUT", body: "x", headers, signal })).status
        })
      const memory = Context.get(lock, LeaseLock.LeaseLock)
      const whenReleased = LeaseLock.LeaseLock.of({
        ...memory,
        write: (expected, next) =>
          Option.isSome(next.holder)
            ? memory.write(expected, next)
            : Effect.gen(function* () {
                yield* Effect.forkDetach(Deferred.into(put("late"), late))
                // Long enough for it to arrive; the server would wait for it longer.
                yield* Effect.sleep("200 millis")
                const headers = { connection: "close" }
                ready = yield* Effect.promise(async () => (await fetch(`${a.url}/readyz`, { headers })).status)
                return yield* memory.write(expected, next)
              })
      })
      const a = yield* start(
        Context.make(LeaseLock.LeaseLock, whenReleased),
        "a",
        writes,
        Layer.merge(LeaderForwarding.layerHandover(), LeaderHealth.layer())
      )
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => a.isLeader })
      yield* start(lock, "b", writes)
      assert.strictEqual(yield* put("own"), 200)
      yield* a.close
      assert.strictEqual(yield* Deferred.await(late), 200)
      assert.strictEqual(ready, 503)
      const [own, next] = writes
      assert.deepStrictEqual([own?.key, next?.key], ["own", "late"])
      assert.isTrue((next?.token ?? 0n) > (own?.token ?? 0n))
    })
  )

  it.live("lets the server close although work has outlived its lease", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const stuck = yield* Deferred.make<void>()
      const a = yield* start(lock, "a", [], LeaderForwarding.layerHandover())
      yield* Effect.forkDetach(a.whileLeading(Effect.uninterruptible(Deferred.await(stuck))))
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => a.isLeader })
      const overrun = yield* Effect.forkChild(
        Stream.runHead(
          Stream.filter(SubscriptionRef.changes(a.leadership), (it) => it._tag === "Draining" && it.overrun)
        )
      )
      yield* a.close
      assert.isTrue(Option.isSome(yield* Fiber.join(overrun)))
      yield* Deferred.succeed(stuck, undefined)
    })
  )

  it.live("gives back at once what it wins while the server closes", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const asked = yield* Deferred.make<void>()
      const slow = HttpRouter.add(
        "GET",
        "/slow",
        Effect.andThen(
          Deferred.succeed(asked, undefined),
          Effect.as(Effect.sleep("1900 millis"), HttpServerResponse.empty())
        )
      )
      const a = yield* start(lock, "a", [])
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => a.isLeader })
      const b = yield* start(lock, "b", [], Layer.merge(LeaderForwarding.layerHandover(), slow))
      const answer = yield* Effect.forkChild(
        Effect.promise((signal) => fetch(`${b.url}/slow`, { headers: { connection: "close" }, signal }))
      )
      yield* Deferred.await(asked)
      const gaveBack = yield* SubscriptionRef.changes(b.leadership).pipe(
        Stream.dropUntil((it) => it._tag === "Leading"),
        Stream.filter((it) => it._tag === "Standby"),
        Stream.runHead,
        Effect.forkChild
      )
      const closing = yield* Effect.forkChild(b.close)
      yield* a.close
      assert.isTrue(Option.isSome(yield* Fiber.join(gaveBack)))
      assert.isUndefined(closing.pollUnsafe(), "the server still closes")
      yield* Fiber.join(closing)
      yield* Fiber.join(answer)
    })
  )
})
