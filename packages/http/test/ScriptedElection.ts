/**
 * An election that stands as the test says, for what a real one reaches only by time and faults.
 */
import { LeaderElection, type LeaseLock, Term } from "@effect-leader/core"
import { DateTime, Deferred, Duration, Effect, Layer, Option, SubscriptionRef } from "effect"

export interface Scripted {
  readonly election: LeaderElection.Election<LeaderElection.LeaderElection>
  readonly layer: Layer.Layer<LeaderElection.LeaderElection>
  readonly become: (leadership: LeaderElection.Leadership) => Effect.Effect<void>
  readonly follow: (identity: string, address?: string) => Effect.Effect<void>
  /** Follows nobody. */
  readonly wait: Effect.Effect<void>
  readonly lead: (token: bigint) => Effect.Effect<ScriptedTerm>
}

export interface ScriptedTerm {
  readonly term: Term.TermShape
  /** The lease runs out: guarded work ends. The leadership says so only when it is told. */
  readonly expire: Effect.Effect<void>
}

export const since = DateTime.makeUnsafe("2026-01-02T03:04:05Z")

export const make = Effect.fnUntraced(function* (identity: string, address?: string) {
  const leadership = yield* SubscriptionRef.make<LeaderElection.Leadership>(standby())
  const become = (next: LeaderElection.Leadership) => SubscriptionRef.set(leadership, next)
  const election: LeaderElection.Election<LeaderElection.LeaderElection> = {
    name: "reports",
    identity,
    leadership,
    leader: Effect.map(SubscriptionRef.get(leadership), (it) =>
      it._tag === "Standby"
        ? it.leader
        : it._tag === "Leading"
          ? Option.some({ identity, ...(address === undefined ? {} : { address }), since: it.term.since })
          : Option.none()
    ),
    isLeader: Effect.map(SubscriptionRef.get(leadership), (it) => it._tag === "Leading" && it.term.isValid()),
    whileLeading: () => Effect.die("not scripted"),
    runAsLeader: () => Effect.die("not scripted"),
    resign: Effect.void
  }
  const scripted: Scripted = {
    election,
    layer: Layer.succeed(LeaderElection.LeaderElection, election),
    become,
    follow: (leader, at) => become(standby({ identity: leader, ...(at === undefined ? {} : { address: at }), since })),
    wait: become(standby()),
    lead: Effect.fnUntraced(function* (token) {
      const it = yield* makeTerm(token)
      yield* become({ _tag: "Leading", term: it.term })
      return it
    })
  }
  return scripted
})

export const standby = (leader?: LeaderElection.Leader, trouble?: LeaseLock.LockError): LeaderElection.Leadership => ({
  _tag: "Standby",
  leader: Option.fromUndefinedOr(leader),
  trouble: Option.fromUndefinedOr(trouble)
})

export const makeTerm = Effect.fnUntraced(function* (token: bigint) {
  const over = yield* Deferred.make<void>()
  const notLeading = Effect.suspend(() => Effect.fail(new Term.NotLeading({ reason: `term ${token} is over` })))
  const isValid = () => !Deferred.isDoneUnsafe(over)
  const it: ScriptedTerm = {
    expire: Effect.asVoid(Deferred.succeed(over, undefined)),
    term: {
      token,
      since,
      isValid,
      remaining: Effect.sync(() => (isValid() ? Duration.seconds(10) : Duration.zero)),
      guard: (effect) =>
        Effect.suspend(() =>
          isValid() ? Effect.raceFirst(effect, Effect.andThen(Deferred.await(over), notLeading)) : notLeading
        )
    }
  }
  return it
})
