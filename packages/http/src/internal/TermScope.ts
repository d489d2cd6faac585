/**
 * What one request does in one term: its handler, what that leaves in its scope, and a body that streams. It is the work of
 * the term: ended with it, whatever the client does meanwhile, and the lock is not given back before.
 */
import { Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"

export interface TermScope {
  /** In the scope, under the term's guard. */
  readonly run: <A, E, R>(
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Term.NotLeading, Exclude<R, Scope.Scope>>
  /** A stream that ends with the term, and fails then, so that a part of it is not taken for the whole. */
  readonly stream: <A, E>(of: Stream.Stream<A, E>) => Stream.Stream<A, E | Term.NotLeading>
  /** Closes the scope, as the term and the request do. */
  readonly close: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (
  term: Term.TermShape
): Effect.fn.Return<TermScope, never, Scope.Scope> {
  const scope = yield* Scope.make()
  // What is interrupted ends before what it uses is closed.
  const turn = yield* Semaphore.make(1)
  let isClosed = false
  const closeScope = turn.withPermit(
    Effect.suspend(() => {
      isClosed = true
      return Scope.close(scope, Exit.void)
    })
  )

  // A client that reads slowly takes nothing from a body, and would not notice the end of the term.
  const lasting = term.guard(Effect.ensuring(Effect.never, closeScope))
  const fiber = yield* Effect.forkDetach(Effect.ensuring(Effect.ignore(lasting), closeScope), {
    startImmediately: true
  })
  const close = Fiber.interrupt(fiber)
  yield* Effect.addFinalizer(() => close)

  const run: TermScope["run"] = (work) => turn.withPermit(term.guard(Effect.provideService(work, Scope.Scope, scope)))

  const over = new Term.NotLeading({ reason: `term ${term.token} ended within the answer` })
  /** After a pause a part can be there before anybody has noticed the end. */
  const isStill = Effect.suspend(() => (isClosed || !term.isValid() ? Effect.fail(over) : Effect.void))
  const stream: TermScope["stream"] = (of) =>
    Stream.fromPull(
      Effect.gen(function* () {
        const pull = yield* run(Effect.andThen(isStill, Stream.toPull(of)))
        return Effect.tap(run(Effect.andThen(isStill, pull)), isStill)
      })
    )

  return { run, stream, close }
})
