/**
 * A leader that resigns while it handles a request, and the next one: real candidates, on servers of their own, over one lock.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Deferred, Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, type HttpServerResponse } from "effect/http"
import { LeaderForwarding } from "../src/index.ts"
import type * as Candidates from "./Candidates.ts"
import * as Server from "./Server.ts"

const timings = {
  leaseDuration: "4 seconds",
  renewDeadline: "3 seconds",
  retryPeriod: "500 millis",
  drainTimeout: "2 seconds"
} as const

export interface Stage {
  readonly events: Array<string>
  /** Work that takes a while to end. */
  readonly write: Effect.Effect<never>
  /** Of the candidate that is asked. */
  readonly resign: Effect.Effect<void>
}

/** Asks the leader, makes it resign once the work has begun, and returns when another leads. */
export const resignWithin = Effect.fnUntraced(function* (
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
    const election = yield* LeaderElection.layer({
      identity,
      address: server.address,
      ...timings,
      onOverrun: () => Effect.sync(() => void events.push("the work overran"))
    }).pipe(Layer.provide(Layer.succeedContext(lock)), Layer.fresh, Layer.buildWithScope(scope))
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

export const post = (
  handle: Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope>
): Candidates.Handlers => HttpRouter.add("POST", "/x", Effect.andThen(LeaderElection.Term, handle))

export const inOrder = ["the work has ended", "another leads"]
