/**
 * A candidate of a case: our election on a Lease lock, seen through a network whose faults the case decides, with a
 * journal of its leader work.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { FaultyLock } from "@effect-leader/testkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"

export type Lock = LeaseLock.LeaseLock["Service"]

export interface Entry {
  readonly who: string
  readonly what: "starts" | "stops"
  readonly token: bigint
  /** Monotonic milliseconds, as all instants here. */
  readonly at: number
}

export const now = Effect.sync(() => performance.now())

export interface Options extends Omit<LeaderElection.Options, "identity"> {
  /** How long its work takes to stop. */
  readonly cleanup?: number
  /** Faults that are there before its first request. */
  readonly before?: (faults: FaultyLock.Faults) => Effect.Effect<void>
}

/** Nothing expires or is given up for a hiccup of a busy machine. */
const steady = { leaseDuration: "60 seconds", renewDeadline: "40 seconds", retryPeriod: "2 seconds" } as const

/** The same, with frequent renewals. */
export const brisk = { ...steady, retryPeriod: "400 millis" } as const

/** For what has to expire: a request may take a second. */
export const short = { leaseDuration: "3 seconds", renewDeadline: "2 seconds", retryPeriod: "400 millis" } as const

/** Waits until it holds; gives up after so long with what was waited for. */
export const until = (what: string, holds: Effect.Effect<boolean>, millis = 40_000): Effect.Effect<void> =>
  Effect.gen(function* () {
    const begunAt = yield* now
    while (!(yield* holds)) {
      if ((yield* now) - begunAt > millis) {
        return yield* Effect.die(new Error(`waited for ${millis} ms in vain: ${what}`))
      }
      yield* Effect.sleep("10 millis")
    }
  })

export const start = Effect.fnUntraced(function* (
  identity: string,
  target: Lock,
  journal: Array<Entry>,
  options: Options = {}
) {
  const { before, cleanup = 0, ...settings } = options
  const outer = yield* Effect.scope
  const { faults, lock } = yield* FaultyLock.make(target)
  if (before !== undefined) yield* before(faults)
  const scope = yield* Scope.make()
  const context = yield* LeaderElection.layer({ identity, ...steady, ...settings }).pipe(
    Layer.provide(Layer.succeed(LeaseLock.LeaseLock, lock)),
    Layer.fresh,
    Layer.buildWithScope(scope)
  )
  const election = Context.get(context, LeaderElection.LeaderElection)
  const note = (what: Entry["what"]) =>
    Effect.gen(function* () {
      const { token } = yield* LeaderElection.Term
      journal.push({ who: identity, what, token, at: yield* now })
    })
  const work = Effect.andThen(
    note("starts"),
    Effect.onExit(Effect.never, () => Effect.delay(note("stops"), cleanup))
  )
  // Not in the candidate's scope, so that it is the election that ends the work when that closes.
  yield* Effect.forkIn(election.whileLeading(work), outer, { startImmediately: true })
  const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
  yield* Effect.addFinalizer(() => Effect.andThen(faults.heal, closing))

  const leadership = SubscriptionRef.get(election.leadership)
  const entries = (what: Entry["what"]) => journal.filter((entry) => entry.who === identity && entry.what === what)
  const kinds = (from: number) =>
    faults
      .requests()
      .slice(from)
      .map(({ kind }) => kind)
  return {
    identity,
    election,
    context,
    faults,
    leadership,
    /** Its work starts and stops. */
    starts: () => entries("starts"),
    stops: () => entries("stops"),
    /** When the work of its last term began. */
    startedAt: () => entries("starts").at(-1)?.at ?? Infinity,
    kinds,
    writes: () => kinds(0).filter((kind) => kind === "write").length,
    requests: () => faults.requests().length,
    leads: until(
      `${identity} leads and works`,
      Effect.map(
        leadership,
        (it) => it._tag === "Leading" && entries("starts").some(({ token }) => token === it.term.token)
      )
    ),
    stands: until(
      `${identity} leads no longer`,
      Effect.map(leadership, (it) => it._tag === "Standby")
    ),
    sees: (leader: string) =>
      until(
        `${identity} sees that ${leader} leads`,
        Effect.map(
          election.leader,
          Option.exists((it) => it.identity === leader)
        )
      ),
    seesNobody: until(`${identity} sees that nobody leads`, Effect.map(election.leader, Option.isNone)),
    /** Waits until a request with a fault is under way. */
    isHit: (fault: FaultyLock.Fault["_tag"]) =>
      until(
        `a request of ${identity} meets the fault ${fault}`,
        Effect.sync(() => faults.requests().some((request) => request.fault === fault))
      ),
    close: Effect.asVoid(closing)
  }
})

export type Candidate = Effect.Success<ReturnType<typeof start>>
