/**
 * The three callbacks of client-go, `OnStartedLeading`, `OnStoppedLeading` and `OnNewLeader`, as log lines: where a port
 * puts what it did in them.
 */
import { LeaderElection } from "@effect-leader/core"
import { Effect, Layer, Option, Stream, SubscriptionRef } from "effect"

const whileLeading = Effect.gen(function* () {
  const term = yield* LeaderElection.Term
  yield* Effect.acquireRelease(Effect.logInfo(`started leading with token ${term.token}`), () =>
    Effect.logInfo("stopped leading")
  )
  yield* Effect.never
}).pipe(Effect.scoped)

const onNewLeader = Effect.gen(function* () {
  const election = yield* LeaderElection.LeaderElection
  yield* SubscriptionRef.changes(election.leadership).pipe(
    Stream.mapEffect(() => election.leader),
    Stream.filter(Option.isSome),
    Stream.map(({ value: { address, identity } }) => ({ address, identity })),
    Stream.changes,
    Stream.runForEach(({ address, identity }) =>
      Effect.logInfo(
        identity === election.identity
          ? "new leader: this pod"
          : `new leader: ${identity}${address === undefined ? "" : ` at ${address}`}`
      )
    )
  )
})

export const layer: Layer.Layer<never, never, LeaderElection.LeaderElection> = Layer.effectDiscard(
  Effect.andThen(Effect.forkScoped(LeaderElection.whileLeading(whileLeading)), Effect.forkScoped(onNewLeader))
)
