/**
 * What the decide room's state means to the program: the value of `leadership`.
 */
import type * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { Moment } from "../decide/Instant.ts"
import { standing } from "../decide/Register.ts"
import type { State, Tenure, TermEnd } from "../decide/State.ts"
import type { LeaseRecord, LockError } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import type { TermShape } from "../Term.ts"

/**
 * Who leads, as the lock says.
 *
 * @since 0.1.0
 */
export interface Leader {
  readonly identity: string
  /** Where it can be reached, as `host:port`; absent if it publishes no address. */
  readonly address?: string
  readonly since: DateTime.Utc
}

/**
 * What a candidate is at the moment.
 *
 * - `Standby`: competes, and follows `leader` if there is one. `trouble` is what stands between it and the lock: a
 *   request that was refused or had no answer, until one succeeds. A watch that fails is none: the candidate polls.
 * - `Leading`: work may run.
 * - `Draining`: work is stopping; nobody else leads before it has ended, or before the lease has run out. `overrun` once
 *   work has outlived the lease, and until it ends.
 * - `Stopped`: the layer is closed.
 *
 * @since 0.1.0
 */
export type Leadership =
  | {
      readonly _tag: "Standby"
      readonly leader: Option.Option<Leader>
      readonly trouble: Option.Option<LockError>
    }
  | { readonly _tag: "Leading"; readonly term: TermShape }
  | { readonly _tag: "Draining"; readonly term: TermShape; readonly end: TermEnd; readonly overrun: boolean }
  | { readonly _tag: "Stopped" }

export const starting: Leadership = { _tag: "Standby", leader: Option.none(), trouble: Option.none() }

/** The next value, or the former one itself when nothing changed for the program. */
export const next = (
  settings: Settings,
  former: Leadership,
  state: State,
  term: Option.Option<TermShape>,
  now: Moment
): Leadership => {
  switch (state.role._tag) {
    case "Following": {
      const leader = leaderOf(settings, state, now)
      const trouble = Option.fromUndefinedOr(state.role.trouble).pipe(
        Option.filter(({ during }) => during !== "Watch"),
        Option.map(({ error }) => error)
      )
      const isSame =
        former._tag === "Standby" && sameLeader(former.leader, leader) && sameTrouble(former.trouble, trouble)
      return isSame ? former : { _tag: "Standby", leader, trouble }
    }
    case "Leading":
      if (Option.isNone(term) || term.value.token !== state.role.tenure.token) return former
      return former._tag === "Leading" && former.term === term.value ? former : { _tag: "Leading", term: term.value }
    case "Yielding":
    case "Stopping": {
      if (Option.isNone(term)) return former
      const { end } = state.role
      const overrun = state.role._tag === "Stopping" && state.role.overrunAt === undefined
      const isSame = former._tag === "Draining" && former.end === end && former.overrun === overrun
      return isSame ? former : { _tag: "Draining", term: term.value, end, overrun }
    }
    // A term that gives the lock back still drains; a candidate that never led is still on standby.
    case "Releasing":
      return former
    case "Stopped":
      return former._tag === "Stopped" ? former : { _tag: "Stopped" }
  }
}

/** Whoever may be working by the record: nobody once it has run out. */
export const leaderOf = (settings: Settings, state: State, now: Moment): Option.Option<Leader> => {
  const { seen } = state
  if (seen === undefined) return Option.none()
  const isOthers =
    standing(settings, seen.observation) === "Foreign" || standing(settings, seen.observation) === "Namesake"
  return isOthers && now.monotonic < seen.heldUntil ? Option.flatMap(seen.observation.record, holderOf) : Option.none()
}

/** This candidate, to itself. */
export const ownOf = (settings: Settings, { since }: Tenure): Leader => ({
  identity: settings.identity,
  ...(settings.address === undefined ? {} : { address: settings.address }),
  since
})

export const holderOf = (record: LeaseRecord): Option.Option<Leader> =>
  Option.map(record.holder, (identity) => ({
    identity,
    ...(record.address === undefined ? {} : { address: record.address }),
    since: record.acquiredAt
  }))

const sameLeader = (a: Option.Option<Leader>, b: Option.Option<Leader>): boolean =>
  Option.getOrUndefined(a)?.identity === Option.getOrUndefined(b)?.identity &&
  Option.getOrUndefined(a)?.address === Option.getOrUndefined(b)?.address &&
  Option.getOrUndefined(a)?.since.epochMilliseconds === Option.getOrUndefined(b)?.since.epochMilliseconds

const sameTrouble = (a: Option.Option<LockError>, b: Option.Option<LockError>): boolean =>
  Option.getOrUndefined(a)?.message === Option.getOrUndefined(b)?.message
