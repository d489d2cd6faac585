/**
 * The work of one term: admits it while the term is valid, interrupts all of it at once when the term ends, and knows
 * when the last finalizer has ended. A piece of work counts from the check that admits it, so nothing starts unseen.
 */
import * as Deferred from "effect/Deferred"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { NotLeading } from "../Term.ts"
import type { TermShape } from "../Term.ts"

export interface TermWork {
  readonly term: TermShape
  /** Runs leader work; `NotLeading` when the term ended before or meanwhile. */
  readonly run: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | NotLeading, R>
  /** Whether new work is refused. */
  readonly hasEnded: () => boolean
  readonly running: () => number
  /** Interrupts all work and returns when the last of it has ended. Finalizers may still guard while the term is valid. */
  readonly interrupt: Effect.Effect<void>
  /** Interrupts what finalizers guard, and admits nothing more. */
  readonly invalidate: Effect.Effect<void>
}

/** What the term's holder knows of it. */
export interface Tenancy {
  readonly token: bigint
  readonly since: DateTime.Utc
  readonly isValid: () => boolean
  readonly remaining: Effect.Effect<Duration.Duration>
  /** Called once, when a check first finds the term invalid. */
  readonly onInvalid: () => void
  /** Why nothing may start any more, for a person. */
  readonly whyEnded: () => string
}

/** Open: all work. Draining: what finalizers guard. Over: nothing. */
type Phase = "Open" | "Draining" | "Over"

interface Piece {
  readonly admittedIn: Phase
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  wasEnded: boolean
}

export const make = (tenancy: Tenancy): TermWork => {
  const pieces = new Set<Piece>()
  const drained = Deferred.makeUnsafe<void>()
  let phase: Phase = "Open"

  // Final once false: a wall clock that steps back does not bring a term to life again.
  const isValid = () => {
    if (phase === "Over") return false
    if (tenancy.isValid()) return true
    phase = "Over"
    tenancy.onInvalid()
    return false
  }

  const leave = (piece: Piece) => {
    pieces.delete(piece)
    closeIfDrained()
  }
  const closeIfDrained = () => {
    if (phase === "Open" || pieces.size > 0) return
    phase = "Over"
    Deferred.doneUnsafe(drained, Exit.void)
  }
  const end = (piece: Piece) => {
    piece.wasEnded = true
    piece.fiber?.interruptUnsafe()
  }

  const run = <A, E, R>(work: Effect.Effect<A, E, R>, admits: () => boolean): Effect.Effect<A, E | NotLeading, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<A, E | NotLeading, R> => {
        if (!admits()) return Effect.fail(new NotLeading({ reason: tenancy.whyEnded() }))
        const piece: Piece = { admittedIn: phase, fiber: undefined, wasEnded: false }
        pieces.add(piece)
        // Checked again where the work really starts: the process may have been stopped in between.
        const checked = Effect.suspend((): Effect.Effect<A, E | NotLeading, R> =>
          isValid() ? work : Effect.fail(new NotLeading({ reason: tenancy.whyEnded() }))
        )
        return Effect.flatMap(Effect.forkChild(checked, { startImmediately: true }), (fiber) => {
          piece.fiber = fiber
          fiber.addObserver(() => leave(piece))
          if (piece.wasEnded) fiber.interruptUnsafe()
          return restore(Fiber.await(fiber)).pipe(
            Effect.onInterrupt(() => Fiber.interrupt(fiber)),
            Effect.flatMap((exit) =>
              piece.wasEnded && Exit.hasInterrupts(exit)
                ? Effect.fail(new NotLeading({ reason: tenancy.whyEnded() }))
                : exit
            )
          )
        })
      })
    )

  return {
    term: {
      token: tenancy.token,
      since: tenancy.since,
      isValid,
      remaining: tenancy.remaining,
      guard: (effect) => run(effect, isValid)
    },
    run: (work) => run(work, () => phase === "Open" && isValid()),
    hasEnded: () => phase !== "Open" || !isValid(),
    running: () => pieces.size,
    interrupt: Effect.suspend(() => {
      if (phase === "Open") phase = "Draining"
      for (const piece of pieces) if (piece.admittedIn === "Open") end(piece)
      closeIfDrained()
      return Deferred.await(drained)
    }),
    invalidate: Effect.sync(() => {
      phase = "Over"
      for (const piece of pieces) end(piece)
      closeIfDrained()
    })
  }
}
