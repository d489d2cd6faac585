/**
 * What one request does in one term: its handler, what that leaves in its scope, and a body that streams. It is the work of
 * the term: ended with it, whatever the client does meanwhile, and the lock is not given back before.
 */
import { Term } from "@effect-leader/core"
import type * as Array from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
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
  /**
   * Closes the scope, as the end of the request does, and that of the term. Returns whether it was closed with this exit, and
   * dies as its finalizers did.
   */
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<boolean>
}

export const make = Effect.fnUntraced(function* (
  term: Term.TermShape
): Effect.fn.Return<TermScope, never, Scope.Scope> {
  const scope = yield* Scope.make()
  // Whoever reads a body knows nothing of the term.
  const services = yield* Effect.context<never>()
  const over = new Term.NotLeading({ reason: `term ${term.token} ended within the answer` })
  // What finalizers are told, which commit or roll back. It is the end of the term that closes unless somebody else did.
  let exit: Exit.Exit<unknown, unknown> = Exit.interrupt()
  let closedWith: Exit.Exit<unknown, unknown> | undefined
  let closed: Exit.Exit<void> = Exit.void
  let streaming: Fiber.Fiber<void> | undefined
  // What is interrupted ends before what it uses is closed.
  const turn = yield* Semaphore.make(1)
  const run: TermScope["run"] = (work) => turn.withPermit(term.guard(Effect.provideService(work, Scope.Scope, scope)))

  const closeScope = Effect.suspend(() => {
    closedWith ??= exit
    return streaming === undefined ? Effect.void : Fiber.interrupt(streaming)
  }).pipe(
    Effect.andThen(turn.withPermit(Effect.suspend(() => Scope.close(scope, closedWith ?? exit)))),
    Effect.onError((cause) =>
      Effect.sync(() => {
        closed = Exit.failCause(cause)
      })
    )
  )

  // A client that reads slowly takes nothing from a body, and would not notice the end of the term.
  const lasting = term.guard(Effect.ensuring(Effect.never, closeScope))
  const close = (fiber: Fiber.Fiber<void>, how: Exit.Exit<unknown, unknown>) =>
    Effect.suspend(() => {
      exit = how
      return Effect.andThen(
        Fiber.interrupt(fiber),
        Effect.suspend(() => Exit.map(closed, () => closedWith === how))
      )
    })
  const fiber = yield* Effect.acquireRelease(
    Effect.forkDetach(Effect.interruptible(Effect.ensuring(Effect.ignore(lasting), closeScope)), {
      startImmediately: true
    }),
    close
  )

  /** After a pause a part can be there before anybody has noticed the end. */
  const isStill = Effect.suspend(() => (closedWith !== undefined || !term.isValid() ? Effect.fail(over) : Effect.void))

  const stream = <A, E>(of: Stream.Stream<A, E>): Stream.Stream<A, E | Term.NotLeading> =>
    Stream.unwrap(
      Effect.gen(function* () {
        type Parts = Array.NonEmptyReadonlyArray<A>
        const parts = yield* Queue.bounded<Parts, E | Term.NotLeading | Cause.Done>(1)
        const offered = Stream.runForEachArray(of, (part) => Queue.offer(parts, part))
        streaming = yield* run(Effect.andThen(isStill, offered)).pipe(
          Effect.onExit((ended) =>
            Exit.isSuccess(ended)
              ? Queue.end(parts)
              : closedWith !== undefined
                ? Queue.fail(parts, over)
                : Queue.failCause(parts, ended.cause)
          ),
          Effect.ignore,
          Effect.updateContext((own: Context.Context<never>) => Context.merge(services, own)),
          // What is interrupted before it has started tells nobody.
          Effect.forkScoped({ startImmediately: true })
        )
        // The end as well: what it tells is not so if finalizers were told otherwise.
        const next = Effect.flatMap(Effect.exit(Queue.take(parts)), (exit) => Effect.andThen(isStill, exit))
        return Stream.fromPull(Effect.succeed(next))
      })
    )

  return { run, stream, close: (how) => close(fiber, how) }
})
