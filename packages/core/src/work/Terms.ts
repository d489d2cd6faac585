/**
 * The terms of one election, one after another, as the programs that wait for them see it.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { NotLeading } from "../Term.ts"
import type { TermWork } from "./TermWork.ts"

export interface Terms {
  /** Whoever waits is told by `announce`: by then the status must say it, too. */
  readonly begin: (work: TermWork) => void
  readonly announce: () => void
  /** No term will come any more; with a failure where that is not what was asked for. */
  readonly close: (failure: Option.Option<Error>) => void
  readonly current: () => Option.Option<TermWork>
  /** The next term that admits work, other than `former`; none once the election has stopped. */
  readonly next: (former: Option.Option<TermWork>) => Effect.Effect<Option.Option<TermWork>>
}

export const make = (): Terms => {
  let current: Option.Option<TermWork> = Option.none()
  let closed: Option.Option<Effect.Effect<Option.Option<TermWork>>> = Option.none()
  let changed = Deferred.makeUnsafe<void>()

  const announce = () => {
    const former = changed
    changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(former, Exit.void)
  }

  const next: Terms["next"] = (former) =>
    Effect.suspend(() => {
      if (Option.isSome(closed)) return closed.value
      const isNext = Option.exists(
        current,
        (term) => !term.hasEnded() && !Option.exists(former, (earlier) => earlier === term)
      )
      return isNext ? Effect.succeed(current) : Effect.flatMap(Deferred.await(changed), () => next(former))
    })

  return {
    begin: (work) => {
      current = Option.some(work)
    },
    announce,
    close: (failure) => {
      closed = Option.some(Option.match(failure, { onNone: () => Effect.succeedNone, onSome: (it) => Effect.die(it) }))
      announce()
    },
    current: () => current,
    next
  }
}

/** Runs work in every term. A failure because the term ended is not the work's own. */
export const whileLeading =
  (terms: Terms) =>
  <A, E, R>(workIn: (term: TermWork) => Effect.Effect<A, E, R>): Effect.Effect<never, E, R> =>
    Effect.gen(function* () {
      let former = Option.none<TermWork>()
      while (true) {
        const next = yield* terms.next(former)
        if (Option.isNone(next)) return yield* Effect.never
        const term = next.value
        const exit = yield* Effect.exit(term.run(workIn(term)))
        if (Exit.isFailure(exit) && !(term.hasEnded() && isEndOfTerm(exit.cause))) {
          // `run` adds a NotLeading of its own only once the term has ended, so this one is the work's.
          return yield* Effect.failCause(exit.cause as Cause.Cause<E>)
        }
        former = next
      }
    })

const isEndOfTerm = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.every(
    (reason) => Cause.isInterruptReason(reason) || (Cause.isFailReason(reason) && reason.error instanceof NotLeading)
  )

/** Waits for a term and runs `work` in it once. */
export const runAsLeader =
  (terms: Terms) =>
  <A, E, R>(workIn: (work: TermWork) => Effect.Effect<A, E, R>): Effect.Effect<A, E | NotLeading, R> =>
    Effect.flatMap(
      terms.next(Option.none()),
      Option.match({
        onNone: () => Effect.fail(new NotLeading({ reason: "the election has stopped" })),
        onSome: (term) => term.run(workIn(term))
      })
    )
