/**
 * Shuts the former leader out of the store when a term begins, before its first write comes. And the other way round: a
 * leader that the store has shut out gives the lock back, since all its writes would be refused. It gets a greater token
 * with its next term.
 */
import { LeaderElection } from "@effect-leader/core"
import { Effect, Layer, Schedule } from "effect"
import { Store } from "./Store.ts"

const whileLeading = Effect.gen(function* () {
  const store = yield* Store
  const election = yield* LeaderElection.LeaderElection
  const { token } = yield* LeaderElection.Term
  const raise = store.raise(token).pipe(
    Effect.tapErrorTag("StoreError", (error) => Effect.logWarning(error.message)),
    Effect.retry({ while: (error) => error._tag === "StoreError", schedule: Schedule.spaced("1 second") })
  )
  yield* raise.pipe(
    Effect.andThen(Effect.logInfo(`the store refuses tokens older than ${token} from now on`)),
    Effect.andThen(Effect.repeat(raise, Schedule.spaced("5 seconds"))),
    Effect.catchTag("StaleToken", (error) =>
      Effect.andThen(
        Effect.logError(
          `${error.message}. This pod gives the lock back. Either it was paused and another leads. Or some pods elect on ` +
            "another lock. Or the lock is a new one, as in a new cluster, and its tokens begin anew: if that is so, run " +
            "UPDATE store_fence SET token = 0 on the database"
        ),
        election.resign
      )
    ),
    Effect.catchTag("StoreError", Effect.die)
  )
})

export const layer: Layer.Layer<never, never, LeaderElection.LeaderElection | Store> = Layer.effectDiscard(
  Effect.forkScoped(LeaderElection.whileLeading(whileLeading))
)
