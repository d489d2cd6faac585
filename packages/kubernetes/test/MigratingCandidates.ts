/**
 * Candidates of three kinds of lock in virtual time: of the older kind, of the pair, and of the newer kind, each with a
 * network of its own to each of the two registers, and a journal of who worked when.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { FaultyLock } from "@effect-leader/testkit"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as MultiLock from "../src/internal/MultiLock.ts"
import { makeStore, type Register } from "./Registers.ts"
import * as WorkJournal from "./WorkJournal.ts"

export type Kind = "old" | "pair" | "new"

export interface Candidate {
  readonly identity: string
  readonly election: LeaderElection.Election<LeaderElection.LeaderElection>
  readonly primary: FaultyLock.Faults
  readonly secondary: FaultyLock.Faults
  /** As an orderly end of the process. */
  readonly close: Effect.Effect<Fiber.Fiber<void>>
}

export interface World {
  readonly primary: Register
  readonly secondary: Register
  readonly start: (kind: Kind, identity: string) => Effect.Effect<Candidate, LeaderElection.InvalidTimings, Scope.Scope>
  /** Whose work runs now, its finalizers too. */
  readonly working: () => ReadonlyArray<string>
  /** Every term that began, in order. */
  readonly terms: ReadonlyArray<{ readonly identity: string; readonly token: bigint }>
  /** Each moment at which the work of two ran. */
  readonly overlaps: ReadonlyArray<string>
}

export const makeWorld = Effect.gen(function* () {
  const store = makeStore()
  const primary = yield* store("primary")
  const secondary = yield* store("secondary")
  const { overlaps, running, terms, workOf } = WorkJournal.make("500 millis")

  const start = Effect.fnUntraced(function* (kind: Kind, identity: string) {
    const halves = {
      primary: yield* FaultyLock.make(primary.handle()),
      secondary: yield* FaultyLock.make(secondary.handle())
    }
    const locks = {
      old: halves.primary.lock,
      new: halves.secondary.lock,
      pair: MultiLock.make({
        name: "pair",
        kinds: { primary: "configmaps", secondary: "leases" },
        primary: halves.primary.lock,
        secondary: halves.secondary.lock
      })
    }
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      Layer.fresh(LeaderElection.layer({ identity })).pipe(
        Layer.provide(Layer.succeed(LeaseLock.LeaseLock, locks[kind]))
      ),
      scope
    )
    const election = Context.get(context, LeaderElection.LeaderElection)
    yield* Effect.forkDetach(election.whileLeading(workOf(identity)), { startImmediately: true })
    yield* Effect.addFinalizer(() => Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true }))
    const candidate: Candidate = {
      identity,
      election,
      primary: halves.primary.faults,
      secondary: halves.secondary.faults,
      close: Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
    }
    return candidate
  })

  const world: World = { primary, secondary, start, working: () => [...running], terms, overlaps }
  return world
})

/** Lets everything that is ready happen, then so much time pass. */
export const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), TestClock.adjust(duration))

export const tokensGrow = ({ terms }: World): boolean =>
  terms.every(({ token }, index) => index === 0 || token > (terms[index - 1]?.token ?? 0n))
