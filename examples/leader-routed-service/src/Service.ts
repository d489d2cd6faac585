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

/**
 * Gives the lease back as the first thing of an orderly end, while this replica still answers: what reaches it from then on
 * goes to the next leader.
 */
const handover = Layer.effectDiscard(
  Effect.flatMap(LeaderElection.LeaderElection, (election) => Effect.addFinalizer(() => election.resign))
)

export const layer = HttpRouter.serve(Layer.merge(name, pages), { disableLogger: true }).pipe((server) =>
  Layer.provideMerge(handover, server)
)
