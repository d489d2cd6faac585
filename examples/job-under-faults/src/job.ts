/**
 * A job that must not run twice at once: it charges the next invoice every second, and closes its books when it stops.
 */
import { LeaderElection } from "@effect-leader/core"
import { Context, Effect } from "effect"

/** Where the charges are written, each with the token of its term: never an older one after a newer. */
export class Ledger extends Context.Service<
  Ledger,
  {
    readonly charge: (token: bigint) => Effect.Effect<unknown>
    readonly close: (token: bigint) => Effect.Effect<void>
  }
>()("examples/Ledger") {}

export const job = Effect.gen(function* () {
  const term = yield* LeaderElection.Term
  const ledger = yield* Ledger
  yield* Effect.addFinalizer(() => ledger.close(term.token))
  yield* term.guard(ledger.charge(term.token)).pipe(Effect.delay("1 second"), Effect.forever)
}).pipe(Effect.scoped)
