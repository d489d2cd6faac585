/**
 * The decide room with one rule of protocol.md switched off at a time, by a wrapper around its functions. For each there
 * is a bounded world in which the explorer must find what breaks; a rule whose absence nothing notices would be needless.
 */
import { DateTime, Option, Result } from "effect"
import type { Instant, Moment } from "../../src/decide/Instant.ts"
import { leaseNanos, standing } from "../../src/decide/Register.ts"
import type { Seen } from "../../src/decide/Register.ts"
import type { Action, Event, Role, State, Step, Tenure } from "../../src/decide/State.ts"
import type { Settings } from "../../src/Settings.ts"
import { leadsSoon } from "./Explore.ts"
import { anyVersion } from "./Happening.ts"
import type { Fault } from "./Moves.ts"
import { product, second, Violation } from "./World.ts"
import type { Decide, World } from "./World.ts"

export interface Mutant {
  readonly rule: string
  readonly without: string
  readonly decide: Decide
  readonly faults: ReadonlyArray<Fault>
  /** How many faults the adversary needs. */
  readonly budget: number
  readonly breaks: Violation["invariant"]
  readonly entrants?: "Namesakes" | "ShortLease" | "SlowDrain" | "Alone" | "SameClocks"
  readonly always?: (decide: Decide) => (world: World) => Violation | undefined
}

type Transform = (context: {
  readonly settings: Settings
  readonly before: State
  readonly event: Event
  readonly now: Moment
  readonly step: Step
}) => Step

const after = (transform: Transform): Decide => ({
  ...product,
  step: (settings, before, event, now) =>
    transform({ settings, before, event, now, step: product.step(settings, before, event, now) })
})

const isHolder = (role: Role): role is Extract<Role, { readonly _tag: "Leading" | "Yielding" }> =>
  role._tag === "Leading" || role._tag === "Yielding"

const withTenure = ([state, actions]: Step, change: (tenure: Tenure) => Partial<Tenure>): Step =>
  isHolder(state.role)
    ? [{ ...state, role: { ...state.role, tenure: { ...state.role.tenure, ...change(state.role.tenure) } } }, actions]
    : [state, actions]

const withSeen = ([state, actions]: Step, change: (seen: Seen) => Partial<Seen>): Step =>
  state.seen === undefined ? [state, actions] : [{ ...state, seen: { ...state.seen, ...change(state.seen) } }, actions]

const never = 1_000_000n * second

const instant = (now: Moment): Instant => ({ monotonic: now.monotonic, wall: now.wall })

const succeeded = (event: Event, tag: "ReadAnswered" | "WriteAnswered") =>
  event._tag === tag && Result.isSuccess(event.result) ? event.result.success : undefined

const noTermEnds = () => (world: World) =>
  world.nodes.some((node) => node.state.role._tag === "Stopping")
    ? new Violation("I3", "a term ends although nothing is wrong")
    : undefined

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

const replaceWrites = (
  actions: ReadonlyArray<Action>,
  change: (write: Extract<Action, { readonly _tag: "Write" }>) => Action
) => actions.map((action) => (action._tag === "Write" ? change(action) : action))

const againstAnything = (actions: ReadonlyArray<Action>) =>
  replaceWrites(actions, (write) => ({ ...write, expected: { ...write.expected, version: anyVersion } }))

export const mutants: ReadonlyArray<Mutant> = [
  {
    rule: "holder 1",
    without: "validity counts from the answer instead of the send",
    decide: after(({ event, now, step }) =>
      succeeded(event, "WriteAnswered") ? withTenure(step, () => ({ sentAt: instant(now) })) : step
    ),
    faults: ["Delay", "Cut"],
    budget: 2,
    breaks: "I1"
  },
  {
    rule: "holder 1",
    without: "a notice of the own record extends the term",
    decide: after(({ event, now, step }) =>
      event._tag === "Noticed" ? withTenure(step, () => ({ sentAt: instant(now) })) : step
    ),
    faults: ["Cut", "Edit"],
    budget: 2,
    breaks: "I1"
  },
  {
    rule: "holder 2",
    without: "no renewals",
    decide: after(({ step }) => withTenure(step, () => ({ renewAt: never }))),
    faults: [],
    budget: 0,
    breaks: "I3",
    always: noTermEnds
  },
  {
    rule: "holder 2",
    without: "a request is waited for without end",
    decide: {
      ...product,
      step: (settings, state, event, now) =>
        product.step({ ...settings, requestTimeout: 1000n * second }, state, event, now)
    },
    faults: ["Lose"],
    budget: 1,
    breaks: "I3",
    entrants: "Alone",
    always: (decide) => leadsSoon(decide, 120n * second)
  },
  {
    rule: "holder 3",
    without: "no deadline",
    decide: {
      ...product,
      step: (settings, state, event, now) => product.step(withoutDeadline(settings, state), state, event, now),
      wakeAt: (settings, state) => product.wakeAt(withoutDeadline(settings, state), state)
    },
    faults: ["Cut"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "holder 3",
    without: "the work is not interrupted",
    decide: after(({ step: [state, actions] }) => [state, actions.filter((it) => it._tag !== "InterruptWork")]),
    faults: ["Cut"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "holder 4",
    without: "a foreign holder or a deletion is no loss",
    decide: after(({ before, step }) => {
      const [state] = step
      const isLoss = state.role._tag === "Stopping" && state.role.end !== "Expired" && before.role._tag === "Leading"
      return isLoss ? [{ ...state, role: before.role }, []] : step
    }),
    faults: ["Delete"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "holder 4",
    without: "another uid is no loss",
    decide: {
      ...product,
      step: (settings, state, event, now) => {
        const uid = event._tag === "Noticed" ? event.observation.uid : undefined
        const [deceived] = uid === undefined ? [state] : withTenure([state, []], () => ({ uid }))
        return product.step(settings, deceived, event, now)
      }
    },
    faults: ["Recreate"],
    budget: 1,
    breaks: "I1"
  },
  {
    rule: "holder 5",
    without: "an answer after the deadline restores leadership",
    decide: after(({ before, event, now, step }) => {
      const [state, actions] = step
      if (state.role._tag !== "Stopping") return step
      const observation = succeeded(event, "WriteAnswered")
      if (before.role._tag === "Leading") {
        return [{ ...state, request: before.request }, actions.filter((it) => it._tag !== "Abandon")]
      }
      if (observation === undefined || before.request === undefined || before.role._tag !== "Stopping") return step
      const tenure = { ...before.role.tenure, token: observation.fence, sentAt: before.request.sentAt }
      const restored: Role = { _tag: "Leading", tenure: { ...tenure, renewAt: now.monotonic } }
      return [{ ...state, role: restored }, [{ _tag: "BeginTerm", token: observation.fence, since: tenure.since }]]
    }),
    faults: ["Cut", "Delay"],
    budget: 2,
    breaks: "I1"
  },
  {
    rule: "holder 5",
    without: "the own record, found after a write without an answer, is trusted",
    decide: after(({ before, event, now, settings, step }) => {
      const observation = succeeded(event, "ReadAnswered")
      const isOwn = observation !== undefined && standing(settings, observation) === "Own"
      if (!isOwn || before.role._tag !== "Following") return step
      const since = DateTime.makeUnsafe(0)
      const tenure = {
        token: observation.fence,
        since,
        uid: observation.uid,
        sentAt: instant(now),
        failures: 0,
        conflicts: 0
      }
      const role: Role = { _tag: "Leading", tenure: { ...tenure, renewAt: now.monotonic + settings.retryPeriod } }
      return [{ ...step[0], request: undefined, role }, [{ _tag: "BeginTerm", token: observation.fence, since }]]
    }),
    faults: ["Lose", "Cut", "Lag"],
    budget: 3,
    breaks: "I1"
  },
  {
    rule: "holder 6",
    without: "a conflict with the own record is a loss",
    decide: after(({ before, event, step }) => {
      const isConflict =
        event._tag === "WriteAnswered" &&
        Result.isFailure(event.result) &&
        event.result.failure.reason._tag === "Conflict"
      if (!isConflict || before.role._tag !== "Leading") return step
      const { tenure } = before.role
      const role: Role = { _tag: "Stopping", tenure, end: "Superseded", overrunAt: undefined, next: "Compete" }
      return [{ ...step[0], request: undefined, role }, [{ _tag: "InterruptWork" }]]
    }),
    faults: ["Edit", "Lag"],
    budget: 2,
    breaks: "I3",
    always: noTermEnds
  },
  {
    rule: "holder 7",
    without: "the lock is given back before the work has ended",
    decide: after(({ before, event, now, settings, step: [state, actions] }) => {
      if (event._tag !== "ResignAsked" || before.role._tag !== "Leading") return [state, actions]
      const [released, more] = product.step(settings, state, { _tag: "WorkEnded" }, now)
      return [released, [...actions, ...more]]
    }),
    faults: ["Resign"],
    budget: 1,
    breaks: "I4"
  },
  {
    rule: "holder 7",
    without: "a release goes over whatever is there",
    decide: after(({ step: [state, actions] }) => [
      state,
      state.role._tag === "Releasing" ? againstAnything(actions) : actions
    ]),
    faults: ["Shutdown", "Delay"],
    budget: 2,
    breaks: "I4"
  },
  {
    rule: "holder 7",
    without: "no renewals while the work drains",
    decide: after(({ step }) =>
      step[0].role._tag === "Yielding" ? withTenure(step, () => ({ renewAt: never })) : step
    ),
    faults: ["Resign"],
    budget: 1,
    breaks: "I3",
    entrants: "SlowDrain",
    always: noTermEnds
  },
  {
    rule: "holder 8",
    without: "time is what the monotonic clock shows",
    decide: {
      ...product,
      step: (settings, state, event, now) => product.step(settings, state, event, { ...now, wall: now.monotonic }),
      isValid: (settings, role, now) => product.isValid(settings, role, { ...now, wall: now.monotonic })
    },
    faults: ["Suspend"],
    budget: 1,
    breaks: "I1"
  },
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
  },
  {
    rule: "the same identity twice",
    without: "a namesake's record is the own one",
    decide: {
      ...product,
      step: (settings, state, event, now) => product.step({ ...settings, incarnation: "one" }, state, event, now)
    },
    faults: [],
    budget: 0,
    breaks: "I1",
    entrants: "Namesakes"
  },
  {
    rule: "fencing",
    without: "the token is the count of transitions",
    decide: after(({ step: [state, actions] }) => [
      state,
      actions.map((action) =>
        action._tag === "BeginTerm" && state.seen !== undefined
          ? { ...action, token: BigInt(Option.getOrThrow(state.seen.observation.record).transitions) + 1n }
          : action
      )
    ]),
    faults: ["Delete"],
    budget: 1,
    breaks: "I2"
  }
]

const isEmptied = (state: State): boolean =>
  Option.exists(
    state.seen?.observation.record ?? Option.none(),
    ({ holder, incarnation }) => Option.isNone(holder) && incarnation !== undefined
  )

const withoutDeadline = (settings: Settings, state: State): Settings =>
  isHolder(state.role) ? { ...settings, renewDeadline: 1000n * second, requestTimeout: 5n * second } : settings
