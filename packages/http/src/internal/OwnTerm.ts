/**
 * A request that this candidate handles itself, in the term that it leads.
 */
import { type LeaderElection, Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Attempt from "./Attempt.ts"
import type * as Courier from "./Courier.ts"
import * as CutAnswer from "./CutAnswer.ts"
import * as RequestBody from "./RequestBody.ts"
import * as Whereabouts from "./Whereabouts.ts"

/** Under the term's guard: refused if it is over, interrupted when it ends, and the lock is kept until then. */
export const handle = <Self, E, R>(
  election: LeaderElection.Election<Self>,
  term: Term.TermShape,
  { isIdempotent, request }: Pick<Courier.Errand, "isIdempotent" | "request">,
  handled: Effect.Effect<HttpServerResponse.HttpServerResponse, E | Term.NotLeading, R>
): Effect.Effect<Attempt.Attempt, Exclude<E, Term.NotLeading>, R> =>
  Effect.gen(function* () {
    let hasStarted = false
    const work = Effect.suspend(() => {
      hasStarted = true
      return handled
    })
    const over = Whereabouts.until(election, (it) => it._tag !== "Leading" || it.term !== term)
    const missed = ({ message }: Term.NotLeading): Attempt.Attempt =>
      hasStarted
        ? {
            _tag: "InDoubt",
            why: message,
            // The handler may have taken the body.
            canRepeat: isIdempotent && RequestBody.isAbsent(request),
            by: "handler"
          }
        : { _tag: "NotDone", why: message, canRepeat: true }
    return yield* term.guard(work).pipe(
      Effect.map((response) =>
        term.isValid()
          ? // What the header says is said of this hop, not of one that the handler made.
            Attempt.answered(
              CutAnswer.when(
                CutAnswer.asDescribed(HttpServerResponse.removeHeader(response, Attempt.outcomeHeader), response),
                over
              )
            )
          : // After a pause the handler can be quicker than whatever ends it.
            missed(new Term.NotLeading({ reason: `term ${term.token} had run out when it was answered` }))
      ),
      Effect.catchIf(isNotLeading, (error) => Effect.succeed(missed(error)))
    )
  })

const isNotLeading = (error: unknown): error is Term.NotLeading => error instanceof Term.NotLeading
