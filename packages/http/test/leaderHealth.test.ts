import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { LeaderHealth } from "../src/index.ts"
import * as Asking from "./Asking.ts"
import * as ScriptedElection from "./ScriptedElection.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(LeaderHealth.Health))

const start = Effect.fnUntraced(function* (options?: LeaderHealth.Options) {
  const candidate = yield* ScriptedElection.make("b")
  const ask = yield* Asking.of(LeaderHealth.layer(options).pipe(Layer.provide(candidate.layer)))
  const statuses = Effect.map(Effect.all([ask("/healthz"), ask("/readyz")]), (answers) =>
    answers.map((it) => it.status)
  )
  return { candidate, ask, statuses }
})

const trouble = (reason: LeaseLock.LockError["reason"]) =>
  ScriptedElection.standby(undefined, new LeaseLock.LockError({ lock: "reports", reason }))

describe("LeaderHealth", () => {
  it.effect("a follower is healthy and ready, and says whom it follows", () =>
    Effect.gen(function* () {
      const { ask, candidate } = yield* start()
      yield* candidate.follow("a")
      for (const path of ["/healthz", "/readyz"]) {
        const answer = yield* ask(path)
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(answer.text, "ok: follows a\n")
        assert.match(answer.headers.get("content-type") ?? "", /^text\/plain/)
        assert.strictEqual(answer.headers.get("cache-control"), "no-store")
      }
    })
  )

  it.effect("a real candidate leads, then its program ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const election = LeaderElection.layer({ identity: "a" }).pipe(
        Layer.provide(LeaseLock.layerMemory({ name: "reports" }))
      )
      const context = yield* Layer.buildWithScope(election, scope)
      const ask = yield* Asking.of(LeaderHealth.layer().pipe(Layer.provide(Layer.succeedContext(context))))
      yield* TestClock.adjust("1 second")
      assert.match((yield* ask("/healthz")).text, /^ok: leads with token 1/)
      yield* Scope.close(scope, Exit.void)
      const answer = yield* ask("/healthz")
      assert.strictEqual(answer.status, 503)
      assert.match(answer.text, /^failing: the election has stopped/)
      assert.strictEqual((yield* ask("/readyz")).status, 503)
    })
  )

  it.effect("a lock that does not answer is said, and no reason for a restart", () =>
    Effect.gen(function* () {
      const { ask, candidate, statuses } = yield* start()
      yield* candidate.become(trouble(new LeaseLock.Unavailable({ detail: "no route to host" })))
      assert.deepStrictEqual(yield* statuses, [200, 200])
      assert.match((yield* ask("/healthz")).text, /no route to host/)
    })
  )

  for (const reason of [
    new LeaseLock.Denied({ detail: "may not update leases" }),
    new LeaseLock.Malformed({ detail: "no such time" })
  ]) {
    it.effect(`a lock that is ${reason._tag} waits for a person, and fails`, () =>
      Effect.gen(function* () {
        const { ask, candidate, statuses } = yield* start()
        yield* candidate.become(trouble(reason))
        assert.deepStrictEqual(yield* statuses, [503, 503])
        assert.match((yield* ask("/healthz")).text, new RegExp(reason.detail ?? "none"))
      })
    )
  }

  it.effect("work that outlived its lease fails; work that drains does not", () =>
    Effect.gen(function* () {
      const { candidate, statuses } = yield* start()
      const { term } = yield* ScriptedElection.makeTerm(7n)
      yield* candidate.become({ _tag: "Draining", term, end: "Expired", overrun: false })
      assert.deepStrictEqual(yield* statuses, [200, 200])
      yield* candidate.become({ _tag: "Draining", term, end: "Expired", overrun: true })
      assert.deepStrictEqual(yield* statuses, [503, 503])
      yield* candidate.become({ _tag: "Draining", term, end: "Resigned", overrun: false })
      assert.deepStrictEqual(yield* statuses, [200, 200])
      yield* candidate.become({ _tag: "Draining", term, end: "Shutdown", overrun: false })
      assert.deepStrictEqual(yield* statuses, [200, 503])
    })
  )

  it.effect("a term that ran out unnoticed fails after the tolerance, and a later term starts anew", () =>
    Effect.gen(function* () {
      const { candidate, statuses } = yield* start({ tolerance: "20 seconds" })
      const first = yield* candidate.lead(7n)
      assert.deepStrictEqual(yield* statuses, [200, 200])
      yield* first.expire
      assert.deepStrictEqual(yield* statuses, [200, 200])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* statuses, [200, 200])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* statuses, [503, 503])
      const second = yield* candidate.lead(9n)
      assert.deepStrictEqual(yield* statuses, [200, 200])
      yield* second.expire
      assert.deepStrictEqual(yield* statuses, [200, 200])
    })
  )

  it.effect("JSON for who asks for it", () =>
    Effect.gen(function* () {
      const { ask, candidate } = yield* start()
      yield* candidate.lead(12n)
      const answer = yield* ask("/healthz", Asking.json)
      assert.match(answer.headers.get("content-type") ?? "", /^application\/json/)
      assert.strictEqual(answer.headers.get("vary"), "accept")
      assert.deepStrictEqual(yield* decode(answer.text), {
        status: "ok",
        election: "reports",
        identity: "b",
        role: "Leading",
        reason: "leads with token 12"
      })
      for (const accept of ["*/*", "text/*, application/json;q=0.5", "application/json;q=0"]) {
        assert.match(
          (yield* ask("/healthz", { headers: { accept } })).headers.get("content-type") ?? "",
          /^text\/plain/
        )
      }
    })
  )

  it.effect("HEAD has no body, other methods are refused", () =>
    Effect.gen(function* () {
      const { ask } = yield* start()
      const head = yield* ask("/healthz", { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.text], [200, ""])
      const post = yield* ask("/readyz", { method: "POST" })
      assert.deepStrictEqual([post.status, post.headers.get("allow")], [405, "GET, HEAD, OPTIONS"])
      assert.strictEqual((yield* ask("/readyz", { method: "OPTIONS" })).status, 204)
    })
  )

  it.effect("another election is asked when it is named", () =>
    Effect.gen(function* () {
      class Reports extends LeaderElection.Service<Reports>()("test/Reports") {}
      const election = Reports.layer({ identity: "r" }).pipe(Layer.provide(LeaseLock.layerMemory({ name: "other" })))
      const ask = yield* Asking.of(LeaderHealth.layer({ election: Reports }).pipe(Layer.provide(election)))
      assert.match((yield* ask("/healthz", Asking.json)).text, /"election":"other","identity":"r"/)
    })
  )
})
