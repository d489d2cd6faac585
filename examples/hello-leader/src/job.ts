/**
 * What hello-leader does while it leads: it ticks. The job needs the `Term` of an election, so it does not compile
 * outside one. `guard` starts a tick only if nobody else can have taken over by then, even if this process slept.
 */
import { LeaderElection } from "@effect-leader/core"
import { Effect, Schedule } from "effect"

export const job = Effect.gen(function* () {
  const term = yield* LeaderElection.Term
  yield* Effect.annotateLogsScoped({ token: String(term.token) })
  yield* Effect.acquireRelease(Effect.log("started leading"), () => Effect.log("stopped leading"))
  yield* term.guard(Effect.log("tick")).pipe(Effect.repeat(Schedule.spaced("250 millis")))
}).pipe(Effect.scoped)
