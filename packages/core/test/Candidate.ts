/**
 * Candidates of one election over a scripted lock, each with a journal of its leader work in virtual milliseconds.
 */
import { Clock, Context, Effect, Exit, Latch, Layer, Scope, Stream, SubscriptionRef } from "effect"
import { LeaderElection, LeaseLock } from "../src/index.ts"
import type { Duration, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Term } from "../src/index.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

export interface Entry {
  readonly what: "started" | "tick" | "refused" | "stopping" | "stopped"
  readonly token: bigint
  readonly at: number
}

export interface Candidate {
  readonly election: LeaderElection.Election<LeaderElection.LeaderElection>
  readonly context: Context.Context<LeaderElection.LeaderElection>
  readonly journal: Array<Entry>
  readonly leadership: Effect.Effect<LeaderElection.Leadership>
  readonly term: Effect.Effect<Term.TermShape>
  /** Ends the layer; a fiber, since that may take virtual time. */
  readonly close: Effect.Effect<Fiber.Fiber<void>>
}

export interface Work {
  /** How long the finalizer of the work takes. */
  readonly cleanup?: Duration.Input
  /** Journals a guarded tick so often. */
  readonly every?: Duration.Input
}

export type Lock = typeof LeaseLock.LeaseLock.Service

/** What is this candidate's alone. */
export interface Own {
  readonly clock?: Clock.Clock
  /** The lock as it answers this candidate. */
  readonly lock?: (lock: Lock) => Lock
}

/** The layer of a candidate, fresh. */
export const layer = (identity: string, { lock, ...settings }: LeaderElection.Options & Pick<Own, "lock"> = {}) =>
  LeaderElection.layer({ identity, ...settings }).pipe(
    Layer.provide(Layer.effect(LeaseLock.LeaseLock, Effect.map(LeaseLock.LeaseLock, lock ?? ((own) => own)))),
    Layer.provide(ScriptedLock.lockOf(identity)),
    Layer.fresh
  )

export const start = Effect.fnUntraced(function* (identity: string, options: LeaderElection.Options & Work & Own = {}) {
  const { cleanup = 0, clock, every = "100 millis", ...settings } = options
  const own = clock ?? (yield* Clock.Clock)
  const scope = yield* Scope.make()
  const context = yield* layer(identity, settings).pipe(
    Layer.buildWithScope(scope),
    Effect.provideService(Clock.Clock, own)
  )
  const election = Context.get(context, LeaderElection.LeaderElection)
  const journal: Array<Entry> = []
  // Not in the candidate's scope, so that it is the election that ends the work when that closes.
  yield* election
    .whileLeading(journaled(journal, every, cleanup))
    .pipe(Effect.provideService(Clock.Clock, own), Effect.forkDetach({ startImmediately: true }))
  const candidate: Candidate = {
    election,
    context,
    journal,
    leadership: SubscriptionRef.get(election.leadership),
    term: Effect.flatMap(SubscriptionRef.get(election.leadership), (it) =>
      "term" in it ? Effect.succeed(it.term) : Effect.die(`${identity} is ${it._tag}`)
    ),
    close: Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
  }
  return candidate
})

/** Leader work as users write it: guarded ticks, and a finalizer. */
const journaled = (journal: Array<Entry>, every: Duration.Input, cleanup: Duration.Input) =>
  Effect.gen(function* () {
    const term = yield* LeaderElection.Term
    const note = (what: Entry["what"]) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        journal.push({ what, token: term.token, at })
      })
    yield* note("started")
    yield* term.guard(note("tick")).pipe(
      Effect.tapError(() => note("refused")),
      Effect.delay(every),
      Effect.forever,
      Effect.onExit(() => Effect.andThen(note("stopping"), Effect.delay(note("stopped"), cleanup)))
    )
  })

/** Lets everything that is ready happen, then so much time pass: what was begun outside a timer is not awaited by it. */
export const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), TestClock.adjust(duration))

/** The way of one candidate to the lock: while it is cut nothing gets through, in either direction. */
export const makeLink = () => {
  let isCut = false
  const through = <A, E>(request: Effect.Effect<A, E>) => Effect.suspend(() => (isCut ? Effect.never : request))
  return {
    lock: (lock: Lock): Lock => ({
      ...lock,
      read: through(lock.read),
      write: (expected, next) => through(lock.write(expected, next)),
      changes: (after) => Stream.filter(lock.changes(after), () => !isCut)
    }),
    cut: () => {
      isCut = true
    },
    mend: () => {
      isCut = false
    }
  }
}

/** A candidate's own view of time over the test's: a wall clock that can step, a monotonic one that can stand still. */
export const makeClock = Effect.map(Clock.Clock, (base) => {
  const gate = Latch.makeUnsafe(true)
  let wallOffset = 0
  let monotonicOffset = 0n
  let readingsToThrow = 0
  const millis = () => base.currentTimeMillisUnsafe() + wallOffset
  const monotonic = () => {
    if (readingsToThrow-- > 0) throw new Error("the clock is broken")
    return base.monotonicTimeNanosUnsafe() - monotonicOffset
  }
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: () => BigInt(millis()) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(millis()) * 1_000_000n),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => Effect.andThen(base.sleep(duration), gate.await)
  }
  return {
    clock,
    /** Somebody sets the wall clock. */
    step: (millis: number) => {
      wallOffset += millis
    },
    /** The monotonic clock misses so much, as in a suspended machine. */
    suspend: (millis: number) => {
      monotonicOffset += BigInt(millis) * 1_000_000n
    },
    /** The next readings of the monotonic clock throw. */
    breakFor: (readings: number) => {
      readingsToThrow = readings
    },
    /** No timer of this candidate fires any more: its event loop is blocked, or its process stopped. */
    freeze: gate.close,
    thaw: gate.open
  }
})

export const entries = (candidate: Candidate, what: Entry["what"]): ReadonlyArray<Entry> =>
  candidate.journal.filter((entry) => entry.what === what)
