/**
 * The scope of a handler that runs in a term: when it is closed, and what its finalizers are told.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import * as Candidates from "./Candidates.ts"
import { inOrder, post, resignWithin, type Stage } from "./Resigning.ts"

describe("a handler's scope", () => {
  it.live(
    "is told that it was interrupted if the term ended before the client had the end of the body, which is cut",
    () =>
      Effect.gen(function* () {
        const closed = yield* Deferred.make<boolean>()
        const large = Stream.make(new Uint8Array(64 * 1_048_576))
        const a = yield* Candidates.start(
          "a",
          post(
            Effect.as(
              Effect.addFinalizer((exit) => Deferred.succeed(closed, Exit.hasInterrupts(exit))),
              HttpServerResponse.stream(large)
            )
          )
        )
        const { expire } = yield* a.lead(7n)
        const response = yield* Effect.promise(() => fetch(`${a.url}/x`, { method: "POST" }))
        yield* expire
        assert.isTrue(yield* Deferred.await(closed))
        const rest = yield* Effect.exit(Effect.tryPromise(() => response.arrayBuffer()))
        assert.strictEqual(rest._tag, "Failure")
      })
  )

  it.live("that cannot be closed is not answered as if it had", () =>
    Effect.gen(function* () {
      const a = yield* Candidates.start(
        "a",
        post(
          Effect.as(
            Effect.addFinalizer(() => Effect.die("the commit failed")),
            HttpServerResponse.text("saved")
          )
        )
      )
      yield* a.lead(7n)
      assert.strictEqual((yield* Effect.promise(() => fetch(`${a.url}/x`, { method: "POST" }))).status, 500)
    })
  )

  it.live("may resign where a body that streams is closed", () =>
    Effect.gen(function* () {
      const resigns = ({ resign, write }: Stage) =>
        post(Effect.succeed(HttpServerResponse.stream(Stream.ensuring(Stream.fromEffect(write), resign))))
      assert.deepStrictEqual(yield* resignWithin(resigns), inOrder)
    })
  )

  it.live("may resign before its body streams", () =>
    Effect.gen(function* () {
      const answered = yield* Deferred.make<string>()
      const resigns = ({ events, resign, write }: Stage) =>
        post(
          Effect.gen(function* () {
            yield* Effect.forkScoped(write, { startImmediately: true })
            yield* resign
            events.length = 0
            return HttpServerResponse.stream(Stream.encodeText(Stream.make("all")))
          })
        )
      const events = yield* resignWithin(resigns, async (url, signal) => {
        const answer = await fetch(url, { method: "POST", signal })
          .then((it) => it.text())
          .catch(() => "cut")
        Deferred.doneUnsafe(answered, Effect.succeed(answer))
      })
      assert.deepStrictEqual(events, inOrder)
      // Whole or cut: it has an end.
      assert.include(["all", "cut"], yield* Deferred.await(answered))
    })
  )

  it.live("may resign where it is closed", () =>
    Effect.gen(function* () {
      const resigns = ({ resign, write }: Stage) =>
        post(
          Effect.gen(function* () {
            yield* Scope.addFinalizer(yield* Effect.scope, resign)
            yield* Effect.forkScoped(write, { startImmediately: true })
            return HttpServerResponse.empty()
          })
        )
      assert.deepStrictEqual(yield* resignWithin(resigns), inOrder)
    })
  )

  it.live("is closed before an answer is sent that does not stream", () =>
    Effect.gen(function* () {
      const closed: Array<string> = []
      const a = yield* Candidates.start(
        "a",
        post(
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => Effect.sync(() => closed.push("closed")))
            return HttpServerResponse.text(`closed ${closed.length} times`)
          })
        )
      )
      yield* a.lead(7n)
      const answer = yield* Effect.promise(async () => (await fetch(`${a.url}/x`, { method: "POST" })).text())
      assert.strictEqual(answer, "closed 0 times")
      assert.deepStrictEqual(closed, ["closed"])
    })
  )

  const failing = Stream.concat(Stream.make("first"), Stream.fail("no more"))
  const ends: Readonly<
    Record<string, readonly [expected: string, Effect.Effect<HttpServerResponse.HttpServerResponse>]>
  > = {
    "of a handler that answered": ["Success", Effect.succeed(HttpServerResponse.text("done"))],
    "of a handler that died": ["Failure", Effect.die("no")],
    "of a body that came to its end": [
      "Success",
      Effect.succeed(HttpServerResponse.stream(Stream.encodeText(Stream.make("all"))))
    ],
    "of a body that failed": ["Failure", Effect.succeed(HttpServerResponse.stream(Stream.encodeText(failing)))]
  }
  for (const [what, [expected, handle]] of Object.entries(ends)) {
    it.live(`is told the end ${what}`, () =>
      Effect.gen(function* () {
        const closed = yield* Deferred.make<string>()
        const a = yield* Candidates.start(
          "a",
          post(
            Effect.andThen(
              Effect.addFinalizer(({ _tag }) => Deferred.succeed(closed, _tag)),
              handle
            )
          )
        )
        yield* a.lead(7n)
        yield* Effect.exit(Effect.tryPromise(async () => (await fetch(`${a.url}/x`, { method: "POST" })).text()))
        assert.strictEqual(yield* Deferred.await(closed), expected)
      })
    )
  }

  it.live("is told that it was interrupted when the term ends, or the client goes away", () =>
    Effect.gen(function* () {
      const closed: Array<string> = []
      let handled = 0
      const a = yield* Candidates.start(
        "a",
        post(
          Effect.gen(function* () {
            yield* Effect.addFinalizer((exit) =>
              Effect.sync(() => closed.push(Exit.hasInterrupts(exit) ? "interrupted" : exit._tag))
            )
            handled++
            return yield* Effect.never
          })
        )
      )
      const { expire } = yield* a.lead(7n)
      const gone = new AbortController()
      yield* Effect.forkChild(
        Effect.exit(Effect.tryPromise(() => fetch(`${a.url}/x`, { method: "POST", signal: gone.signal })))
      )
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => Effect.succeed(handled === 1) })
      gone.abort()
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => Effect.succeed(closed.length === 1) })
      const asking = yield* Effect.forkChild(
        Effect.promise((signal) => fetch(`${a.url}/x`, { method: "POST", signal }))
      )
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => Effect.succeed(handled === 2) })
      yield* expire
      assert.strictEqual((yield* Fiber.join(asking)).status, 503)
      assert.deepStrictEqual(closed, ["interrupted", "interrupted"])
    })
  )

  it.live("is there for as long as its answer streams", () =>
    Effect.gen(function* () {
      let isClosed = false
      const a = yield* Candidates.start(
        "a",
        post(
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() =>
              Effect.sync(() => {
                isClosed = true
              })
            )
            const parts = Stream.mapEffect(Stream.make(1, 2, 3), () =>
              Effect.as(Effect.sleep("10 millis"), `${isClosed} `)
            )
            return HttpServerResponse.stream(Stream.encodeText(parts))
          })
        )
      )
      yield* a.lead(7n)
      const answer = yield* Effect.promise(async () => (await fetch(`${a.url}/x`, { method: "POST" })).text())
      assert.strictEqual(answer, "false false false ")
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => Effect.succeed(isClosed) })
    })
  )
})
