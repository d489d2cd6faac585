/**
 * What a replica answers. `GET /` is the leader's to answer: with the name of its pod, and in a header with the token of its
 * term. A request that finds another replica, because it was on its way when leadership changed, is forwarded.
 */
import { LeaderElection } from "@effect-leader/core"
import { LeaderForwarding, LeaderHealth, LeaderMetrics, LeaderStatus } from "@effect-leader/http"
import { Identity } from "@effect-leader/kubernetes"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const name = HttpRouter.add(
  "GET",
  "/",
  Effect.gen(function* () {
    const pod = yield* Identity.Identity
    const term = yield* LeaderElection.Term
    return yield* term.guard(
      Effect.sync(() => HttpServerResponse.text(`${pod.name}\n`, { headers: { "leader-token": String(term.token) } }))
    )
  })
).pipe(Layer.provide(LeaderForwarding.layer()))

const pages = Layer.mergeAll(LeaderHealth.layer(), LeaderMetrics.layer(), LeaderStatus.layer({ path: "/status" }))

export const layer = HttpRouter.serve(Layer.mergeAll(name, pages, LeaderForwarding.layerHandover()), {
  disableLogger: true
})
