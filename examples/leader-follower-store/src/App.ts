/**
 * One pod: what it answers, and what it does when it starts or stops leading. The election, the store and the server are
 * given to it, so that main.ts runs it on a cluster and the tests run several in one process.
 */
import { LeaderForwarding, LeaderHealth, LeaderMetrics, LeaderStatus } from "@effect-leader/http"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest } from "effect/http"
import * as Callbacks from "./Callbacks.ts"
import * as Fence from "./Fence.ts"
import * as Input from "./Input.ts"
import * as Keys from "./Keys.ts"
import { refuse } from "./Refusal.ts"
import { oneOf } from "./Setting.ts"

/** What a follower does with a write. */
const FollowerWrites = Layer.unwrap(
  Effect.gen(function* () {
    return (yield* oneOf("FOLLOWER_WRITES", ["forward", "redirect"])) === "forward"
      ? Layer.provide(LeaderForwarding.layer(), NodeHttpClient.layerUndici)
      : LeaderForwarding.layerRedirect()
  })
)

const Admission = HttpRouter.middleware(
  (handled) =>
    Effect.matchEffect(Input.admit, {
      onFailure: refuse,
      onSuccess: (request) =>
        // Before anything is answered: the server answers itself what it cuts off when it ends.
        Effect.andThen(
          HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(Input.named(request)(response))),
          Effect.provideService(handled, HttpServerRequest.HttpServerRequest, request)
        )
    }),
  { global: true }
)

const Routes = Layer.mergeAll(
  Admission,
  Keys.reads,
  Layer.provide(Keys.writes, FollowerWrites),
  LeaderForwarding.layerHandover(),
  LeaderStatus.layer(),
  LeaderHealth.layer(),
  LeaderMetrics.layer()
)

// A key of 256 characters is up to 3 kB of percent signs.
const Server = HttpRouter.serve(Routes, { routerConfig: { maxParamLength: 16_384 }, disableLogger: true })

export const layer = Layer.merge(Fence.layer, Callbacks.layer).pipe(Layer.provideMerge(Server))
