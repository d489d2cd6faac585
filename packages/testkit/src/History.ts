/**
 * What several candidates did, with true time: terms, work, guarded effects, writes to the lock, and the faults that they
 * met. A history is judged by itself, without knowing how the election works: `violations` says which invariant of
 * docs/protocol.md it breaks, and `timeline` and `svg` draw it, one row per candidate.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

import type { LeaderElection, LeaseLock, Term } from "@effect-leader/core"
import * as CandidateClock from "./CandidateClock.ts"
import * as Invariants from "./simulation/Invariants.ts"
import * as Svg from "./simulation/Svg.ts"
import * as Timeline from "./simulation/Timeline.ts"

/**
 * Something that happened to a candidate, or that it did.
 *
 * @since 0.1.0
 */
export type Event =
  /** A process begins to compete. Its timings, in true milliseconds, say how long it may work after a renewal. */
  | { readonly _tag: "Started"; readonly renewDeadline: number; readonly stopBy: number; readonly releases: boolean }
  /** It is told to end. */
  | { readonly _tag: "Closing" }
  /** It has ended, and left so many timers, requests and watches behind. */
  | { readonly _tag: "Closed"; readonly leftovers: number }
  | { readonly _tag: "Crashed" }
  | { readonly _tag: "Frozen" }
  | { readonly _tag: "Suspended" }
  | { readonly _tag: "Thawed" }
  | { readonly _tag: "TermBegan"; readonly token: bigint }
  | { readonly _tag: "TermEnding"; readonly token: bigint; readonly end: LeaderElection.TermEnd }
  | { readonly _tag: "TermEnded"; readonly token: bigint }
  | { readonly _tag: "WorkStarted"; readonly token: bigint; readonly work: number }
  /** Its last finalizer has ended. */
  | { readonly _tag: "WorkEnded"; readonly token: bigint; readonly work: number }
  /** Its work, or the election itself, has failed: a program would end. */
  | { readonly _tag: "Failed"; readonly cause: string }
  | { readonly _tag: "GuardStarted"; readonly token: bigint }
  | { readonly _tag: "GuardEnded"; readonly token: bigint }
  /** The election itself says that work has outlived its lease. */
  | { readonly _tag: "Overrun"; readonly token: bigint }
  /** A write of its own was answered with success. */
  | { readonly _tag: "Granted"; readonly sentAt: number }
  /** A write of its own was carried out. `over` is who held the lock before. */
  | { readonly _tag: "Took"; readonly over: string | undefined; readonly token: bigint }
  | { readonly _tag: "Released"; readonly over: string | undefined }
  /** A fault, for the reader of a timeline. */
  | { readonly _tag: "Fault"; readonly what: string }

/**
 * One line of a history.
 *
 * @since 0.1.0
 */
export interface Entry {
  /** True milliseconds. */
  readonly at: number
  /** Whose row it belongs to; none if it is about the lock or all of them. */
  readonly candidate: string | undefined
  /** Which process of that candidate: it may crash and be started again. */
  readonly process: string | undefined
  readonly event:
    | Event
    | { readonly _tag: "FaultsEnded"; readonly leaderWithin: number }
    | { readonly _tag: "AllClosing" }
    | { readonly _tag: "Ended" }
}

/**
 * An invariant that does not hold, explained for a person.
 *
 * - `I1`: at no true instant does the work of two candidates run, and nothing guarded starts after a successor has begun
 * - `I2`: tokens strictly grow in order of acquisition
 * - `I3`: once faults have ended, somebody leads within a bounded time, and goes on
 * - `I4`: a lock is released only after the work has ended, and never by somebody who does not hold it
 * - `I5`: nothing outlives a candidate that has closed
 *
 * @since 0.1.0
 */
export interface Violation {
  readonly invariant: "I1" | "I2" | "I3" | "I4" | "I5"
  /** True milliseconds. */
  readonly at: number
  readonly what: string
}

/**
 * Every violation, in order of time.
 *
 * @since 0.1.0
 */
export const violations: (entries: ReadonlyArray<Entry>) => ReadonlyArray<Violation> = Invariants.violations

/**
 * Draws a history as text: a row for each candidate, then the faults and the violations with their times.
 *
 * @since 0.1.0
 */
export const timeline: (entries: ReadonlyArray<Entry>, options?: TimelineOptions) => string = Timeline.text

/**
 * Draws a history as an SVG document that needs nothing else. Hovering tells what happened.
 *
 * @since 0.1.0
 */
export const svg: (entries: ReadonlyArray<Entry>, options?: TimelineOptions) => string = Svg.document

/**
 * @since 0.1.0
 */
export interface TimelineOptions {
  /** True milliseconds. Default: the whole history. */
  readonly from?: number
  readonly to?: number
  /** Columns of the text, pixels of the SVG. */
  readonly width?: number
}

/**
 * One process in the history that is being written.
 *
 * @since 0.1.0
 */
export interface Scribe {
  readonly note: (event: Event) => Effect.Effect<void>
  /** Work that is noted: its start, the end of its last finalizer, and everything that it guards. */
  readonly work: <Self, Id extends string, A, E, R>(
    election: LeaderElection.ServiceClass<Self, Id>,
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, Exclude<R, Term.Term<Self>> | Term.Term<Self>>
  /** Notes the terms of an election for as long as it runs. */
  readonly terms: <Self>(election: LeaderElection.Election<Self>) => Effect.Effect<void>
  /** The lock as the election sees it: notes what is granted to it. */
  readonly granted: (lock: LeaseLock.LeaseLock["Service"]) => LeaseLock.LeaseLock["Service"]
  /** The lock as the server sees it: notes when this process takes it and gives it back. */
  readonly served: (lock: LeaseLock.LeaseLock["Service"]) => LeaseLock.LeaseLock["Service"]
}

/**
 * A history that is being written.
 *
 * **Example** (two candidates whose work is written down and judged)
 *
 * ```ts
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 * import { History } from "@effect-leader/testkit"
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const job = Effect.andThen(LeaderElection.Term, Effect.never)
 *
 * export const program = Effect.gen(function* () {
 *   const history = yield* History.make
 *   for (const identity of ["a", "b"]) {
 *     const scribe = history.process(identity)
 *     yield* LeaderElection.whileLeading(scribe.work(LeaderElection.LeaderElection, job)).pipe(
 *       Effect.provide(LeaderElection.layer({ identity })),
 *       Effect.forkChild
 *     )
 *   }
 *   yield* TestClock.adjust("1 minute")
 *   yield* Effect.log(History.timeline(history.entries()), History.violations(history.entries()))
 * }).pipe(Effect.provide(LeaseLock.layerMemory()))
 * ```
 *
 * @since 0.1.0
 */
export interface History {
  readonly entries: () => ReadonlyArray<Entry>
  /** A process of a candidate, by default the only one. */
  readonly process: (candidate: string, name?: string) => Scribe
  /** A fault that concerns all. */
  readonly fault: (what: string) => Effect.Effect<void>
  /** From here on somebody must lead within so many milliseconds. */
  readonly faultsEnd: (leaderWithin: number) => Effect.Effect<void>
  /** A third party has deleted the lock: nobody holds it. */
  readonly lockDeleted: Effect.Effect<void>
  /** From here on everybody is told to end. */
  readonly closing: Effect.Effect<void>
  /** Nothing follows: who has been told to end must have ended. */
  readonly end: Effect.Effect<void>
}

/**
 * Begins a history, in the true time of the clock in the context.
 *
 * @since 0.1.0
 */
export const make: Effect.Effect<History> = Effect.map(CandidateClock.trueClock, (time) => {
  const entries: Array<Entry> = []
  let works = 0
  let holder: string | undefined

  const add = (entry: Omit<Entry, "at">) =>
    Effect.sync(() => {
      entries.push({ at: time.currentTimeMillisUnsafe(), ...entry })
    })

  const process = (candidate: string, name = candidate): Scribe => {
    const note = (event: Event) => add({ candidate, process: name, event })

    const recorded = <Shape extends Term.TermShape>(term: Shape): Shape => ({
      ...term,
      guard: (effect) => {
        const { token } = term
        return term.guard(
          Effect.acquireUseRelease(
            note({ _tag: "GuardStarted", token }),
            () => effect,
            () => note({ _tag: "GuardEnded", token })
          )
        )
      }
    })

    return {
      note,
      work: (election, work) =>
        Effect.gen(function* () {
          const term = yield* election.Term
          const { token } = term
          works += 1
          const number = works
          yield* note({ _tag: "WorkStarted", token, work: number })
          return yield* Effect.provideService(work, election.Term, recorded(term)).pipe(
            Effect.ensuring(note({ _tag: "WorkEnded", token, work: number }))
          )
        }),
      terms: (election) => {
        let token: bigint | undefined
        const ended = Effect.suspend(() => {
          if (token === undefined) return Effect.void
          const over = token
          token = undefined
          return note({ _tag: "TermEnded", token: over })
        })
        return Stream.runForEach(SubscriptionRef.changes(election.leadership), (it) => {
          switch (it._tag) {
            case "Leading":
              token = it.term.token
              return note({ _tag: "TermBegan", token })
            case "Draining":
              return note({ _tag: "TermEnding", token: it.term.token, end: it.end })
            case "Standby":
            case "Stopped":
              return ended
          }
        })
      },
      granted: (lock) => ({
        ...lock,
        write: (expected, next) =>
          Effect.suspend(() => {
            const sentAt = time.currentTimeMillisUnsafe()
            return Effect.tap(lock.write(expected, next), () =>
              Option.isSome(next.holder) ? note({ _tag: "Granted", sentAt }) : Effect.void
            )
          })
      }),
      served: (lock) => ({
        ...lock,
        write: (expected, next) =>
          Effect.tap(lock.write(expected, next), (written) => {
            const over = holder
            holder = Option.isSome(next.holder) ? name : undefined
            if (holder === undefined) return note({ _tag: "Released", over })
            return over === name ? Effect.void : note({ _tag: "Took", over, token: written.fence })
          })
      })
    }
  }

  return {
    entries: () => entries,
    process,
    fault: (what) => add({ candidate: undefined, process: undefined, event: { _tag: "Fault", what } }),
    faultsEnd: (leaderWithin) =>
      add({ candidate: undefined, process: undefined, event: { _tag: "FaultsEnded", leaderWithin } }),
    lockDeleted: Effect.sync(() => {
      holder = undefined
    }),
    closing: add({ candidate: undefined, process: undefined, event: { _tag: "AllClosing" } }),
    end: add({ candidate: undefined, process: undefined, event: { _tag: "Ended" } })
  }
})
