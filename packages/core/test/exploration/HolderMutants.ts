/**
 * The rules of a holder, each switched off.
 */
import { DateTime, Result } from "effect"
import type { Instant, Moment } from "../../src/decide/Instant.ts"
import { standing } from "../../src/decide/Register.ts"
import type { Event, Role, State, Step, Tenure } from "../../src/decide/State.ts"
import type { Settings } from "../../src/Settings.ts"
import { leadsSoon } from "./Explore.ts"
import { after, againstAnything, isHolder } from "./Mutant.ts"
import type { Mutant } from "./Mutant.ts"
import { product, second, Violation } from "./World.ts"
import type { World } from "./World.ts"

const withTenure = ([state, actions]: Step, change: (tenure: Tenure) => Partial<Tenure>): Step =>
  isHolder(state.role)
    ? [{ ...state, role: { ...state.role, tenure: { ...state.role.tenure, ...change(state.role.tenure) } } }, actions]
    : [state, actions]

const never = 1_000_000n * second

const instant = (now: Moment): Instant => ({ monotonic: now.monotonic, wall: now.wall })

const succeeded = (event: Event, tag: "ReadAnswered" | "WriteAnswered") =>
  event._tag === tag && Result.isSuccess(event.result) ? event.result.success : undefined

const noTermEnds = () => (world: World) =>
  world.nodes.some((node) => node.state.role._tag === "Stopping")
    ? new Violation("I3", "a term ends although nothing is wrong")
    : undefined

export const holderMutants: ReadonlyArray<Mutant> = [
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
  }
]

const withoutDeadline = (settings: Settings, state: State): Settings =>
  isHolder(state.role) ? { ...settings, renewDeadline: 1000n * second, requestTimeout: 5n * second } : settings
