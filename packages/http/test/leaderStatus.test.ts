import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { LeaderStatus } from "../src/index.ts"
import * as Asking from "./Asking.ts"
import * as ScriptedElection from "./ScriptedElection.ts"
import * as Server from "./Server.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(LeaderStatus.Status))

const start = Effect.fnUntraced(function* (candidate: ScriptedElection.Scripted) {
  const ask = yield* Asking.of(LeaderStatus.layer().pipe(Layer.provide(candidate.layer)))
  // What became so is seen by a fiber of the layer.
  const settled = Effect.repeat(Effect.yieldNow, { times: 100 })
  const status = Effect.flatMap(Effect.andThen(settled, ask("/", Asking.json)), (it) => decode(it.text))
  const page = Effect.map(Effect.andThen(settled, ask("/")), (it) => it.text)
  return { ask, status, page, settled }
})

describe("the status of an election", () => {
  it.effect("follows two real candidates over a handover, with token, times and reason", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const candidate = Effect.fnUntraced(function* (identity: string, address: string) {
        const scope = yield* Scope.make()
        const election = LeaderElection.layer({ identity, address }).pipe(
          Layer.provide(Layer.succeedContext(lock)),
          Layer.fresh
        )
        const context = yield* Layer.buildWithScope(election, scope)
        const ask = yield* Asking.of(LeaderStatus.layer().pipe(Layer.provide(Layer.succeedContext(context))))
        const status = Effect.flatMap(ask("/", Asking.json), (it) => decode(it.text))
        return { status, close: Scope.close(scope, Exit.void) }
      })
      const a = yield* candidate("a", "10.0.0.1:80")
      yield* TestClock.adjust("1 second")
      const b = yield* candidate("b", "10.0.0.2:80")
      yield* TestClock.adjust("1 minute")

      const leading = yield* a.status
      assert.strictEqual(leading.role, "Leading")
      assert.strictEqual(leading.leader?.identity, "a")
      assert.strictEqual(leading.leader?.address, "10.0.0.1:80")
      assert.strictEqual(leading.token, 1n)
      const [current] = leading.terms
      assert.isDefined(current)
      // It began at random within the first second.
      assert.isAtLeast(DateTime.toEpochMillis(leading.now) - DateTime.toEpochMillis(current.since), 60_000)
      const following = yield* b.status
      assert.strictEqual(following.role, "Standby")
      assert.deepStrictEqual(following.leader, leading.leader)
      assert.isUndefined(following.token)

      const closing = yield* Effect.forkChild(a.close)
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(closing)
      const after = yield* b.status
      assert.strictEqual(after.role, "Leading")
      assert.deepStrictEqual(
        after.terms.map(({ identity, token, until }) => ({
          identity,
          isOver: until !== undefined,
          isOwn: token !== undefined
        })),
        [
          { identity: "b", isOver: false, isOwn: true },
          { identity: "a", isOver: true, isOwn: false }
        ]
      )
      const [own] = (yield* a.status).terms
      assert.strictEqual(own?.end, "Shutdown")
      assert.isDefined(own?.until)
    })
  )

  it.effect("says why the own term ends, and what troubles", () =>
    Effect.gen(function* () {
      const b = yield* ScriptedElection.make("b", "10.0.0.2:80")
      const { page, status } = yield* start(b)
      const { term } = yield* b.lead(41n)
      yield* b.become({ _tag: "Draining", term, end: "Expired", overrun: true })
      const draining = yield* status
      assert.deepStrictEqual([draining.end, draining.overrun, draining.token], ["Expired", true, 41n])
      assert.strictEqual(draining.terms[0]?.end, "Expired")
      assert.match(yield* page, /has outlived its lease/)
      const reason = new LeaseLock.Denied({ detail: "may not update leases" })
      yield* b.become(ScriptedElection.standby(undefined, new LeaseLock.LockError({ lock: "reports", reason })))
      assert.match((yield* status).trouble ?? "", /may not update leases/)
      assert.match(yield* page, /Nobody leads/)
    })
  )

  it.effect("a leader that was not heard of for a while is one term; of many terms the last 20 are kept", () =>
    Effect.gen(function* () {
      const b = yield* ScriptedElection.make("b")
      const { status } = yield* start(b)
      yield* b.follow("a")
      yield* b.wait
      yield* b.follow("a")
      const one = yield* status
      assert.deepStrictEqual([one.terms.length, one.terms[0]?.until], [1, undefined])
      for (let term = 0; term < 30; term++) yield* b.follow(`a-${term}`)
      const many = yield* status
      assert.strictEqual(many.terms.length, 20)
      assert.strictEqual(many.terms[0]?.identity, "a-29")
      assert.isTrue(many.terms.slice(1).every(({ until }) => until !== undefined))
    })
  )

  it.effect("a token that no number holds is text in JSON", () =>
    Effect.gen(function* () {
      const b = yield* ScriptedElection.make("b")
      const { ask, settled } = yield* start(b)
      yield* b.lead(9_007_199_254_740_993n)
      yield* settled
      assert.match((yield* ask("/", Asking.json)).text, /"token":"9007199254740993"/)
    })
  )
})

describe("the status page", () => {
  it.effect("is HTML for a browser and for who takes anything, JSON for who asks for it, and never cached", () =>
    Effect.gen(function* () {
      const { ask } = yield* start(yield* ScriptedElection.make("b"))
      const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
      for (const accept of [browser, "*/*"]) {
        const { headers } = yield* ask("/", { headers: { accept } })
        assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
        assert.strictEqual(headers.get("cache-control"), "no-store")
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        assert.match(
          headers.get("content-security-policy") ?? "",
          /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-/
        )
      }
      assert.match((yield* ask("/", Asking.json)).headers.get("content-type") ?? "", /^application\/json/)
    })
  )

  it.effect("HEAD has no body, other methods are refused", () =>
    Effect.gen(function* () {
      const { ask } = yield* start(yield* ScriptedElection.make("b"))
      const head = yield* ask("/", { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.text], [200, ""])
      for (const path of ["/", "/events"]) {
        for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
          const { headers, status } = yield* ask(path, { method })
          assert.deepStrictEqual([status, headers.get("allow")], [405, "GET, HEAD, OPTIONS"])
        }
      }
    })
  )

  it.effect("escapes whatever is foreign", () =>
    Effect.gen(function* () {
      const evil = `<script>alert(1)</script>"'&\``
      const b = yield* ScriptedElection.make(evil)
      const { ask, page, settled } = yield* start(b)
      yield* b.follow(`${evil}-a`, evil)
      const reason = new LeaseLock.Denied({ detail: evil })
      const trouble = new LeaseLock.LockError({ lock: evil, reason })
      yield* b.become(
        ScriptedElection.standby({ identity: evil, address: evil, since: ScriptedElection.since }, trouble)
      )
      const markup = yield* page
      assert.strictEqual(markup.split("<script>").length, 2)
      assert.notInclude(markup, "alert(1)</script>")
      assert.include(markup, "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;&#96;")
      yield* settled
      const events = yield* ask("/", Asking.json)
      assert.strictEqual((yield* decode(events.text)).leader?.identity, evil)
    })
  )

  it.effect("is where it is wanted, with its events below", () =>
    Effect.gen(function* () {
      const b = yield* ScriptedElection.make("b")
      const ask = yield* Asking.of(LeaderStatus.layer({ path: "/leader" }).pipe(Layer.provide(b.layer)))
      assert.match((yield* ask("/leader")).text, /Nobody leads/)
      assert.strictEqual((yield* ask("/leader/events", { method: "POST" })).status, 405)
    })
  )
})

/** What an open page hears, as text. */
const listen = (url: string) =>
  Stream.unwrap(Effect.map(HttpClient.get(url), (response) => Stream.decodeText(response.stream)))

describe("the events of the status page", () => {
  it.live("tell an open page of every change", () =>
    Effect.gen(function* () {
      const b = yield* ScriptedElection.make("b")
      const { url } = yield* Server.start(LeaderStatus.layer().pipe(Layer.provide(b.layer)))
      const heard = yield* listen(`${url}/events`).pipe(
        Stream.tap((text) => (text.includes("Nobody leads") ? b.follow("a <i>") : Effect.void)),
        Stream.takeUntil((text) => text.includes("a &#60;i&#62; leads")),
        Stream.runCollect,
        Effect.forkChild
      )
      const [first = ""] = yield* Fiber.join(heard)
      assert.match(first, /^event: page\ndata: \{.*\}\n\n$/)
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live(
    "end when the server begins to close, for 1,000 pages",
    () =>
      Effect.gen(function* () {
        const b = yield* ScriptedElection.make("b")
        // For so long the server itself would wait before it cuts them.
        const { serve } = yield* Server.listen(0, "1 hour")
        const server = yield* serve(LeaderStatus.layer().pipe(Layer.provide(b.layer)))
        // One after another: what is to be seen is not how many connections can be made at once.
        const viewers = yield* Effect.forEach(
          Array.from({ length: 1_000 }),
          Effect.fnUntraced(function* () {
            const isOpen = yield* Deferred.make<void>()
            const viewer = yield* listen(`${server.url}/events`).pipe(
              Stream.tap(() => Deferred.succeed(isOpen, undefined)),
              Stream.runDrain,
              Effect.forkChild
            )
            yield* Effect.raceFirst(Deferred.await(isOpen), Fiber.join(viewer))
            return viewer
          })
        )
        yield* server.close
        const exits = yield* Effect.forEach(viewers, (viewer) => Fiber.await(viewer))
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1_000)
      }).pipe(Effect.provide(FetchHttpClient.layer)),
    120_000
  )
})
