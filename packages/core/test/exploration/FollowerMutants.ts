/**
 * The rules of a follower, each switched off.
 */
import { DateTime, Option } from "effect"
import { leaseNanos, standing } from "../../src/decide/Register.ts"
import type { Seen } from "../../src/decide/Register.ts"
import type { State, Step } from "../../src/decide/State.ts"
import { leadsSoon } from "./Explore.ts"
import { after, againstAnything, isHolder } from "./Mutant.ts"
import type { Mutant } from "./Mutant.ts"
import { second, Violation } from "./World.ts"
import type { Decide, World } from "./World.ts"

const withSeen = ([state, actions]: Step, change: (seen: Seen) => Partial<Seen>): Step =>
  state.seen === undefined ? [state, actions] : [{ ...state, seen: { ...state.seen, ...change(state.seen) } }, actions]

/** Somebody who can must lead soon after the lock was given back. */
const takenSoon = (within: bigint) => (decide: Decide) => {
  const soon = leadsSoon(decide, within)
  return (world: World) => {
    const isFree = Option.exists(world.register.record, (record) => Option.isNone(record.holder))
    return isFree ? soon(world) : undefined
  }
}

/** A state in which contests wait so much longer. */
const contestLater = ([state, actions]: Step, by: bigint): Step =>
  state.role._tag === "Following" && state.role.contestAt !== undefined
    ? [{ ...state, role: { ...state.role, contestAt: state.role.contestAt + by } }, actions]
    : [state, actions]

export const followerMutants: ReadonlyArray<Mutant> = [
  {
    rule: "follower 1",
    without: "waits for its own lease duration instead of the record's",
    decide: after(({ before, settings, step }) => {
      const isNew = step[0].seen?.observedAt !== before.seen?.observedAt
      const shortened = withSeen(step, (seen) => ({ heldUntil: seen.observedAt + settings.leaseDuration }))
      const [state] = shortened
      const isForeign = state.seen !== undefined && standing(settings, state.seen.observation) === "Foreign"
      return isNew && isForeign && state.role._tag === "Following" && state.seen !== undefined
        ? [{ ...state, role: { ...state.role, contestAt: state.seen.heldUntil } }, step[1]]
        : step
    }),
    faults: ["Cut"],
    budget: 1,
    breaks: "I1",
    entrants: "ShortLease"
  },
  {
    rule: "follower 1",
    without: "expiry goes by the wall clock and the record's renewTime",
    decide: after(({ now, settings, step }) => {
      const [state, actions] = step
      if (state.role._tag !== "Following" || state.seen === undefined) return step
      const record = Option.getOrUndefined(state.seen.observation.record)
      if (record === undefined || standing(settings, state.seen.observation) !== "Foreign") return step
      const expiresAt = BigInt(DateTime.toEpochMillis(record.renewedAt)) * 1_000_000n + leaseNanos(record)
      const contestAt = now.wall >= expiresAt ? now.monotonic : now.monotonic + (expiresAt - now.wall)
      return [{ ...state, role: { ...state.role, contestAt } }, actions]
    }),
    faults: ["SetClock"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "follower 1",
    without: "any change of the object starts the wait anew",
    decide: after(({ event, now, settings, step }) =>
      event._tag === "Noticed"
        ? withSeen(step, (seen) =>
            standing(settings, seen.observation) === "Foreign"
              ? { heldUntil: now.monotonic + leaseNanos(Option.getOrThrow(seen.observation.record)) }
              : {}
          )
        : step
    ),
    faults: ["Edit"],
    budget: 1,
    breaks: "I3",
    entrants: "SameClocks",
    always: () => (world) => {
      const late = world.nodes.some(({ settings, state: { seen } }) => {
        if (seen === undefined || standing(settings, seen.observation) !== "Foreign") return false
        const record = Option.getOrThrow(seen.observation.record)
        const renewedAt = BigInt(DateTime.toEpochMillis(record.renewedAt)) * 1_000_000n
        return seen.heldUntil > renewedAt + leaseNanos(record) + second
      })
      return late ? new Violation("I3", "a follower waits longer than the lease it has seen") : undefined
    }
  },
  {
    rule: "follower 2",
    without: "a takeover does not compare with what was seen",
    decide: after(({ before, step: [state, actions] }) => [
      state,
      before.role._tag === "Following" && state.role._tag === "Following" ? againstAnything(actions) : actions
    ]),
    faults: ["Lag"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "follower 3",
    without: "a released lock is left alone for a lease",
    decide: after(({ before, settings, step }) => {
      const [state] = step
      const isFree = state.seen !== undefined && standing(settings, state.seen.observation) === "Free"
      const isNew = state.seen?.observation.version !== before.seen?.observation.version
      return isFree && isNew ? contestLater(step, settings.leaseDuration) : step
    }),
    faults: ["Shutdown"],
    budget: 1,
    breaks: "I3",
    always: takenSoon(12n * second)
  },
  {
    rule: "follower 3",
    without: "a lock that somebody else emptied is taken at once",
    decide: after(({ step }) => {
      const [state, actions] = step
      return state.role._tag === "Following" && state.role.contestAt !== undefined && isEmptied(state)
        ? [{ ...state, role: { ...state.role, contestAt: 0n } }, actions]
        : step
    }),
    faults: ["Empty"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "follower 3",
    without: "a first write that lands after a deletion is led under at once",
    decide: after(({ now, settings, step }) => {
      const [state] = step
      const isOwn = state.seen !== undefined && standing(settings, state.seen.observation) === "Own"
      if (state.role._tag !== "Following" || !isOwn) return step
      const [, actions] = step
      const role = { ...state.role, contestAt: state.role.contestAt === undefined ? undefined : now.monotonic }
      return withSeen([{ ...state, role }, actions], () => ({ heldUntil: now.monotonic }))
    }),
    faults: ["Delete"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "follower 3",
    without: "a holder whose lease has run out takes a deleted lock anew at once",
    decide: after(({ before, now, settings, step }) =>
      isHolder(before.role) && step[0].seen !== undefined && standing(settings, step[0].seen.observation) === "Absent"
        ? withSeen(step, () => ({ heldUntil: now.monotonic }))
        : step
    ),
    faults: ["Freeze", "Delete"],
    budget: 2,
    breaks: "I1"
  },
  {
    rule: "follower 4",
    without: "no polls while the watch is down",
    decide: after(({ event, step }) => {
      const [state, actions] = step
      return event._tag === "WatchEnded" && state.role._tag === "Following"
        ? [{ ...state, role: { ...state.role, readAt: undefined } }, actions]
        : step
    }),
    faults: ["EndWatch", "Shutdown"],
    budget: 2,
    breaks: "I3",
    always: takenSoon(15n * second)
  },
  {
    rule: "follower 4",
    without: "a silent watch is believed",
    decide: after(({ step }) => {
      const [state, actions] = step
      return state.role._tag === "Following" && state.watch._tag === "Open" && state.role.contestAt !== undefined
        ? [{ ...state, role: { ...state.role, readAt: undefined } }, actions]
        : step
    }),
    faults: ["Lag", "Shutdown"],
    budget: 2,
    breaks: "I3",
    always: takenSoon(23n * second)
  },
  {
    rule: "follower 5",
    without: "after a loss it competes no more",
    decide: after(({ before, event, step }) =>
      event._tag === "WorkEnded" && before.role._tag === "Stopping"
        ? [{ ...step[0], request: undefined, role: { ...before.role } }, []]
        : step
    ),
    faults: ["Delete"],
    budget: 1,
    breaks: "I3",
    entrants: "Alone",
    always: (decide) => leadsSoon(decide, 120n * second)
  },
  {
    rule: "follower 5",
    without: "an own record that cannot be used is renewed for ever",
    decide: after(({ step: [state, actions] }) =>
      state.role._tag === "Following"
        ? [{ ...state, role: { ...state.role, unanswered: 0 } }, actions]
        : [state, actions]
    ),
    faults: ["Deafen"],
    budget: 1,
    breaks: "I3",
    always: (decide) => leadsSoon(decide, 100n * second)
  },
  {
    rule: "follower 5",
    without: "no rest after a resignation",
    decide: after(({ step }) => {
      const [state, actions] = step
      return state.role._tag === "Following" &&
        state.role.contestAt !== undefined &&
        state.role.contestAt === state.role.restUntil
        ? [{ ...state, role: { ...state.role, contestAt: 0n } }, actions]
        : step
    }),
    faults: ["Resign"],
    budget: 1,
    breaks: "I3",
    always: () => (world) =>
      world.nodes.some((node) => node.hasResigned && node.state.role._tag === "Leading")
        ? new Violation("I3", "who resigned wins again although another waits")
        : undefined
  }
]

const isEmptied = (state: State): boolean =>
  Option.exists(
    state.seen?.observation.record ?? Option.none(),
    ({ holder, incarnation }) => Option.isNone(holder) && incarnation !== undefined
  )
