/**
 * A request that this candidate handles itself, in the term that it leads.
 */
import { Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { HttpBody } from "effect/http/HttpBody"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import * as Answer from "./Answer.ts"
import * as Attempt from "./Attempt.ts"
import type * as Courier from "./Courier.ts"
import * as RequestBody from "./RequestBody.ts"
import * as TermScope from "./TermScope.ts"

/** Refused if the term is over, and interrupted when it ends. */
export const handle = <E, R>(
  term: Term.TermShape,
  { isIdempotent, request }: Pick<Courier.Errand, "isIdempotent" | "request">,
  handled: Effect.Effect<HttpServerResponse.HttpServerResponse, E | Term.NotLeading, R>
): Effect.Effect<Attempt.Attempt, Exclude<E, Term.NotLeading>, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* TermScope.make(term)
    let hasStarted = false
    const work = Effect.suspend(() => {
      hasStarted = true
      return handled
    })
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
    const answer = Effect.fnUntraced(function* (response: HttpServerResponse.HttpServerResponse) {
      // After a pause the handler can be quicker than whatever ends it.
      if (!term.isValid()) return missed(ended(term, "when it was answered"))
      // What the header says is said of this hop, not of one that the handler made.
      const own = Answer.asDescribed(HttpServerResponse.removeHeader(response, Attempt.outcomeHeader), response)
      if (!isWhole(own.body)) return Attempt.answered(Answer.streaming(own, scope.stream))
      return (yield* scope.close(Exit.void)) ? Attempt.answered(own) : missed(ended(term, "before it was answered"))
    })
    return yield* scope.run(work).pipe(
      Effect.flatMap(answer),
      Effect.catchIf(isNotLeading, (error) => Effect.succeed(missed(error))),
      Effect.onExit((exit) => {
        if (Exit.isFailure(exit)) return scope.close(exit)
        return exit.value._tag === "Answered" ? Effect.void : scope.close(Exit.interrupt())
      })
    )
  })

const ended = ({ token }: Term.TermShape, when: string) =>
  new Term.NotLeading({ reason: `term ${token} had run out ${when}` })

/** Nothing of the handler is needed for it any more. */
const isWhole = ({ _tag }: HttpBody): boolean => _tag === "Empty" || _tag === "Uint8Array"

const isNotLeading = (error: unknown): error is Term.NotLeading => error instanceof Term.NotLeading
