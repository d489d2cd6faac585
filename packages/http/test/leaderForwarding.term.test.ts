/**
 * What a request does in a term is work of the term.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Cause, Deferred, Effect, Queue, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import * as Candidates from "./Candidates.ts"
import { inOrder, post, resignWithin, type Stage } from "./Resigning.ts"

describe("the lock is given back after", () => {
  it.live("the handler has ended", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* resignWithin(({ write }) => post(write)), inOrder)
    })
  )

  it.live("what the handler left in its scope has ended", () =>
    Effect.gen(function* () {
      const left = ({ write }: Stage) =>
        post(Effect.andThen(Effect.forkScoped(write, { startImmediately: true }), Effect.never))
      assert.deepStrictEqual(yield* resignWithin(left), inOrder)
    })
  )

  it.live("what streams into the answer has ended", () =>
    Effect.gen(function* () {
      const streams = ({ write }: Stage) =>
        post(
          Effect.succeed(
            HttpServerResponse.stream(Stream.encodeText(Stream.concat(Stream.make("1"), Stream.fromEffect(write))))
          )
        )
      assert.deepStrictEqual(yield* resignWithin(streams), inOrder)
    })
  )

  it.live("what streams into an answer that its client does not read has ended", () =>
    Effect.gen(function* () {
      const streams = ({ write }: Stage) =>
        post(
          Effect.gen(function* () {
            yield* Effect.forkScoped(write, { startImmediately: true })
            return HttpServerResponse.stream(Stream.forever(Stream.make(new Uint8Array(1_048_576))))
          })
        )
      const events = yield* resignWithin(streams, async (url, signal) => {
        await fetch(url, { method: "POST", signal })
        await new Promise((resolve) => signal.addEventListener("abort", resolve))
      })
      assert.deepStrictEqual(events, inOrder)
    })
  )
})

describe("an answer that streams", () => {
  it.live("may be fed by a fiber of its own", () =>
    Effect.gen(function* () {
      const parts = Stream.unwrap(
        Effect.gen(function* () {
          const queue = yield* Queue.unbounded<string, Cause.Done>()
          yield* Effect.forkChild(
            Effect.andThen(
              Effect.forEach(["1", "2", "3"], (part) => Effect.delay(Queue.offer(queue, part), "10 millis")),
              Queue.end(queue)
            )
          )
          return Stream.fromQueue(queue)
        })
      )
      const a = yield* Candidates.start("a", post(Effect.succeed(HttpServerResponse.stream(Stream.encodeText(parts)))))
      yield* a.lead(7n)
      const answer = yield* Effect.promise(async () => (await fetch(`${a.url}/x`, { method: "POST" })).text())
      assert.strictEqual(answer, "123")
    })
  )

  it.live("has nothing that was there only after the term, though nobody has said yet that it is over", () =>
    Effect.gen(function* () {
      const mayGoOn = yield* Deferred.make<void>()
      const a = yield* Candidates.start(
        "a",
        post(
          Effect.succeed(
            HttpServerResponse.stream(
              Stream.encodeText(
                Stream.concat(
                  Stream.make("first"),
                  Stream.fromEffect(Effect.uninterruptible(Effect.as(Deferred.await(mayGoOn), "stale")))
                )
              )
            )
          )
        )
      )
      const { expire } = yield* a.lead(7n)
      const response = yield* Effect.promise(() => fetch(`${a.url}/x`, { method: "POST" }))
      const reader = response.body?.getReader()
      assert.strictEqual(new TextDecoder().decode((yield* Effect.promise(async () => reader?.read()))?.value), "first")
      yield* expire
      yield* Deferred.succeed(mayGoOn, undefined)
      assert.strictEqual((yield* Effect.exit(Effect.tryPromise(async () => reader?.read())))._tag, "Failure")
    })
  )
})
