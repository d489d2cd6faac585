/**
 * Shuts the former leader out of the store when a term begins, before its first write comes. And the other way round: a
 * leader that the store has shut out gives the lock back, since all its writes would be refused, and gets a greater token
 * with its next term. So does one that cannot reach the store.
 */
import { LeaderElection } from "@effect-leader/core"
import { Clock, Duration, Effect, Layer, Metric, Option, Schedule } from "effect"
import { Store, StoreError } from "./Store.ts"

/** For an alert: one now and then is a leader that was paused; more of them need somebody to act. */
export const refusedTerms = Metric.counter("store_refused_terms_total", {
  description: "Terms of this pod whose token the store refused",
  incremental: true
})

/** `given` has when this pod gave the lock back: over all its terms, newest last. */
const whileLeading = Effect.fnUntraced(function* (given: Array<number>) {
  const store = yield* Store
  const election = yield* LeaderElection.LeaderElection
  const { token } = yield* LeaderElection.Term
  const attempt = Effect.catchDefect(store.raise(token), (defect) =>
    Effect.fail(new StoreError({ store: "the store", operation: "raise", detail: String(defect) }))
  )
  const raise = attempt.pipe(
    Effect.tapErrorTag("StoreError", (error) => Effect.logWarning(error.message)),
    Effect.retry({ while: (error) => error._tag === "StoreError", schedule: Schedule.spaced("1 second"), times: 5 })
  )
  /** Returns whether it did: the store may be there again before. */
  const giveBack = Effect.fnUntraced(function* (why: string) {
    const now = yield* Clock.currentTimeMillis
    const recent = given.filter((at) => at > now - Duration.toMillis(memory))
    const delay = delayAfter(recent.length)
    given.splice(0, given.length, ...recent, now)
    const when = Duration.isZero(delay) ? "" : ` in ${Duration.format(delay)}, unless the store takes its token before`
    yield* Effect.logError(`${why}. This pod gives the lock back${when}`)
    const taken = Effect.retry(attempt, Schedule.spaced("1 second"))
    if (Option.isSome(yield* Effect.timeoutOption(taken, delay))) return false
    yield* election.resign
    return true
  })
  const round = raise.pipe(
    Effect.andThen(Effect.logInfo(`the store refuses tokens older than ${token} from now on`)),
    Effect.andThen(Effect.repeat(raise, Schedule.spaced("5 seconds"))),
    Effect.as(false),
    Effect.catchTags({
      StaleToken: ({ message }) =>
        Effect.andThen(
          Metric.update(refusedTerms, 1),
          giveBack(
            `${message}. Either this pod was paused and another leads. Or some pods elect on another lock. Or the lock is a ` +
              "new one, as in a new cluster, and its tokens begin anew: if that is so, run UPDATE store_fence SET token = 0 " +
              "on the database"
          )
        ),
      // Another pod may reach it.
      StoreError: ({ message }) => giveBack(`the store does not answer this pod: ${message}`)
    })
  )
  yield* Effect.repeat(round, { until: (gaveBack) => gaveBack })
})

/**
 * Where no pod gets further, they would else hand the lock round without end. A token that is taken first and refused soon
 * after counts as well: so it goes with two elections over one store.
 */
const delayAfter = (times: number): Duration.Duration =>
  times === 0 ? Duration.zero : Duration.seconds(Math.min(2 ** (times - 1), 30))

const memory = Duration.minutes(5)

export const layer: Layer.Layer<never, never, LeaderElection.LeaderElection | Store> = Layer.effectDiscard(
  Effect.andThen(
    // There from the start: an alert does not see the step from nothing to one.
    Metric.update(refusedTerms, 0),
    Effect.suspend(() => Effect.forkScoped(LeaderElection.whileLeading(whileLeading([]))))
  )
)
