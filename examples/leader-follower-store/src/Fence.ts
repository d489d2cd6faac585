/**
 * Shuts the former leader out of the store when a term begins, before its first write comes.
 */
import { LeaderElection } from "@effect-leader/core"
import { Effect, Layer, Schedule } from "effect"
import { Store } from "./Store.ts"

const raise = Effect.gen(function* () {
  const store = yield* Store
  const { token } = yield* LeaderElection.Term
  yield* store.raise(token).pipe(
    Effect.tapErrorTag("StoreError", (error) => Effect.logWarning(error.message)),
    Effect.retry({ while: (error) => error._tag === "StoreError", schedule: Schedule.spaced("1 second") }),
    Effect.andThen(Effect.logInfo(`the store refuses tokens older than ${token} from now on`)),
    Effect.catchTag("StaleToken", (error) =>
      Effect.logError(
        `${error.message}. Either this pod was paused and another leads. Or the lock is a new one, as in a new cluster, ` +
          "and its tokens begin anew: if that is so, run UPDATE store_fence SET token = 0 on the database"
      )
    ),
    Effect.catchTag("StoreError", Effect.die)
  )
})

export const layer: Layer.Layer<never, never, LeaderElection.LeaderElection | Store> = Layer.effectDiscard(
  Effect.forkScoped(LeaderElection.whileLeading(raise))
)
