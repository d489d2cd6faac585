/**
 * Who may handle a request that belongs to the leader, as this candidate sees it at the moment.
 */
import type { LeaderElection, Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type * as Attempt from "./Attempt.ts"
import * as Forwarding from "./Forwarding.ts"

export type Whereabouts =
  | { readonly _tag: "Here"; readonly term: Term.TermShape }
  | { readonly _tag: "There"; readonly leader: LeaderElection.Leader; readonly url: URL }
  | Extract<Attempt.Attempt, { readonly _tag: "NotDone" }>

export const of = <Self>(
  { identity, name }: LeaderElection.Election<Self>,
  leadership: LeaderElection.Leadership,
  request: HttpServerRequest
): Whereabouts => {
  const notDone = (why: string, canRepeat: boolean): Whereabouts => ({ _tag: "NotDone", why, canRepeat })
  switch (leadership._tag) {
    case "Leading":
      return { _tag: "Here", term: leadership.term }
    case "Draining":
      return notDone(`${identity} stops leading ${name}, and nobody else leads yet`, true)
    case "Stopped":
      return notDone(`${identity} takes part in the election of ${name} no more`, false)
    case "Standby": {
      const leader = Option.getOrUndefined(leadership.leader)
      if (leader === undefined) return notDone(`nobody leads ${name}`, true)
      // The lock still names a former process of this identity.
      if (leader.identity === identity) return notDone(`${identity} does not lead ${name} yet`, true)
      // A second hop could go round in circles.
      if (Forwarding.wasForwarded(request, name))
        return notDone(`${identity} does not lead ${name}: ${leader.identity} does`, false)
      if (leader.address === undefined) {
        return notDone(`${leader.identity} leads ${name}, and publishes no address to send this to`, false)
      }
      const url = Forwarding.urlAt(leader.address, request)
      return url === undefined
        ? notDone(`${leader.identity} leads ${name}, and its address ${leader.address} is not host:port`, false)
        : { _tag: "There", leader, url }
    }
  }
}

/** Returns once `leader` is no longer the one that is followed. */
export const leadsNoMore = <Self>(election: LeaderElection.Election<Self>, leader: LeaderElection.Leader) =>
  until(
    election,
    (it) =>
      it._tag !== "Standby" ||
      !Option.exists(it.leader, ({ address, identity }) => identity === leader.identity && address === leader.address)
  )

export const until = <Self>(
  election: LeaderElection.Election<Self>,
  isSo: (leadership: LeaderElection.Leadership) => boolean
): Effect.Effect<void> =>
  Effect.asVoid(Stream.runHead(Stream.filter(SubscriptionRef.changes(election.leadership), isSo)))
