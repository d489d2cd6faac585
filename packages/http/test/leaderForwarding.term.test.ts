/**
 * What a request does in a term is work of the term: real candidates, on servers of their own, over one lock.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { type Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Queue, Scope, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { LeaderForwarding } from "../src/index.ts"
import * as Candidates from "./Candidates.ts"
import * as Server from "./Server.ts"

const timings = {
  leaseDuration: "6 seconds",
  renewDeadline: "4 seconds",
  retryPeriod: "500 millis",
  drainTimeout: "5 seconds"
} as const

interface Stage {
  readonly events: Array<string>
  /** Work that takes a while to end. */
  readonly write: Effect.Effect<never>
  /** Of the candidate that is asked. */
  readonly resign: Effect.Effect<void>
}

/** Asks the leader, makes it resign once the work has begun, and returns when another leads. */
const resignWithin = Effect.fnUntraced(function* (
  handlers: (stage: Stage) => Candidates.Handlers,
  ask: (url: string, signal: AbortSignal) => Promise<unknown> = async (url, signal) =>
    (await fetch(url, { method: "POST", signal })).text()
) {
  const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
  const events: Array<string> = []
  const begun = yield* Deferred.make<void>()
  const write = Effect.ensuring(
    Effect.andThen(Deferred.succeed(begun, undefined), Effect.never),
    Effect.andThen(
      Effect.sleep("300 millis"),
      Effect.sync(() => events.push("the work has ended"))
    )
  )
  const start = Effect.fnUntraced(function* (identity: string) {
    const server = yield* Server.listen(0, "1 second")
    const scope = yield* Scope.make()
    const election = yield* LeaderElection.layer({ identity, address: server.address, ...timings }).pipe(
      Layer.provide(Layer.succeedContext(lock)),
      Layer.fresh,
      Layer.buildWithScope(scope)
    )
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const { resign } = Context.get(election, LeaderElection.LeaderElection)
    const { url } = yield* server.serve(
      handlers({ events, write, resign }).pipe(
        Layer.provide(LeaderForwarding.layer()),
        Layer.provide(Layer.succeedContext(election)),
        Layer.provide(Layer.fresh(NodeHttpClient.layerUndici))
      )
    )
    return { url, ...Context.get(election, LeaderElection.LeaderElection) }
  })
  const a = yield* start("a")
  yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => a.isLeader })
  const b = yield* start("b")
  const leads = Effect.andThen(
    Effect.sync(() => events.push("another leads")),
    Effect.never
  )
  yield* Effect.forkChild(b.whileLeading(leads))
  yield* Effect.forkChild(Effect.exit(Effect.tryPromise((signal) => ask(`${a.url}/x`, signal))))
  yield* Deferred.await(begun)
  yield* a.resign
  yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => b.isLeader })
  yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => Effect.succeed(events.includes("another leads")) })
  return events
})

const post = (handle: Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope>): Candidates.Handlers =>
  HttpRouter.add("POST", "/x", Effect.andThen(LeaderElection.Term, handle))

const inOrder = ["the work has ended", "another leads"]

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

describe("a handler's scope", () => {
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
