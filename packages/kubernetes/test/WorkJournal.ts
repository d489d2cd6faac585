/**
 * A journal of who worked when: the work of all candidates of one test writes it.
 */
import { LeaderElection } from "@effect-leader/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** All work takes as long as `cleanup` to stop. */
export const make = (cleanup: Duration.Input) => {
  /** Whose work runs now, its finalizers too. */
  const running = new Set<string>()
  /** Every term that began, in order. */
  const terms: Array<{ readonly identity: string; readonly token: bigint }> = []
  /** Each moment at which the work of two ran. */
  const overlaps: Array<string> = []

  const workOf = (identity: string) =>
    Effect.gen(function* () {
      const term = yield* LeaderElection.Term
      terms.push({ identity, token: term.token })
      running.add(identity)
      if (running.size > 1) overlaps.push([...running].join(" and "))
      const stop = Effect.andThen(
        Effect.sleep(cleanup),
        Effect.sync(() => running.delete(identity))
      )
      yield* Effect.ensuring(Effect.never, stop)
    })

  return { running, terms, overlaps, workOf }
}
