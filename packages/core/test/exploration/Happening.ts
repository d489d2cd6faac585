/**
 * What can happen in a world without anybody's malice: timers, answers, notices, the end of work; and the invariants,
 * checked where each could break.
 */
import { Option, Result } from "effect"
import { elapsed } from "../../src/decide/Instant.ts"
import { standing } from "../../src/decide/Register.ts"
import type { Action, Event } from "../../src/decide/State.ts"
import { Conflict, LockError } from "../../src/LeaseLock.ts"
import type { Observation } from "../../src/LeaseLock.ts"
import { messageAt, momentOf, nodeAt, trueAt, Violation, withNode, withoutMessage, withRecord } from "./World.ts"
import type { Decide, Message, Node, World } from "./World.ts"

export type Outcome = World | Violation

/** One event of one candidate, and what it asks to be done. */
export const happen = (decide: Decide, world: World, index: number, event: Event): Outcome => {
  const node = nodeAt(world, index)
  const [state, actions] = decide.step(node.settings, node.state, event, momentOf(node.clock, world.now))
  const after = actions.reduce<Outcome>(
    (result, action) => (result instanceof Violation ? result : carryOut(result, index, action)),
    withNode(world, index, { state, hasThawed: false })
  )
  return after instanceof Violation ? after : (violationIn(decide, after, index) ?? after)
}

export const tick = (decide: Decide, world: World, index: number): Outcome => {
  const after = happen(decide, world, index, { _tag: "Tick" })
  if (after instanceof Violation) return after
  const node = nodeAt(after, index)
  const isUnchanged = text(node.state) === text(nodeAt(world, index).state)
  return isUnchanged && isDue(decide, node, world.now)
    ? new Violation("I5", `${node.settings.identity} spins on a timer that changes nothing`)
    : after
}

export const isDue = (decide: Decide, node: Node, now: bigint): boolean => {
  const wakeAt = decide.wakeAt(node.settings, node.state)
  return wakeAt !== undefined && trueAt(node.clock, wakeAt) <= now
}

export const workEnded = (decide: Decide, world: World, index: number): Outcome =>
  happen(decide, withNode(world, index, { work: "None" }), index, { _tag: "WorkEnded" })

export const notice = (decide: Decide, world: World, index: number): Outcome =>
  happen(decide, withNode(world, index, { toldUpTo: world.register.fence }), index, {
    _tag: "Noticed",
    observation: world.register
  })

/** The process runs again; what its clocks show depends on what stopped it. */
export const thaw = (decide: Decide, world: World, index: number): Outcome => {
  const node = nodeAt(world, index)
  const stood = node.condition === "Suspended" ? ((world.now - node.since) * node.clock.rate) / 100n : 0n
  const clock = { ...node.clock, missed: node.clock.missed + stood }
  const after = withNode(world, index, { condition: "Alive", hasThawed: true, clock })
  return violationIn(decide, after, index) ?? after
}

// ---- the lock

/** Any version at all: what a takeover without compare-and-set would write against. */
export const anyVersion = "*"

// A write against absence names no version, as a PUT that creates: it may come after another life of the lock.
const isExpected = (expected: Observation, register: Observation): boolean =>
  expected.version === anyVersion ||
  (Option.isNone(expected.record) ? Option.isNone(register.record) : expected.version === register.version)

export const serve = (world: World, position: number): Outcome => {
  const { from, incarnation, request } = messageAt(world, position)
  if (request.kind === "Read") return answered(world, position, Result.succeed(world.register))
  if (!isExpected(request.expected, world.register)) {
    return answered(world, position, Result.fail(new LockError({ lock: "model", reason: new Conflict() })))
  }
  const writer = nodeAt(world, from)
  const isSameProcess = writer.settings.incarnation === incarnation && writer.condition !== "Dead"
  if (Option.isNone(request.next.holder)) {
    if (isSameProcess && writer.work !== "None") {
      return new Violation("I4", `${writer.settings.identity} releases while its work runs`)
    }
    if (isSameProcess && standing(writer.settings, world.register) !== "Own") {
      return new Violation("I4", `${writer.settings.identity} releases what it does not hold`)
    }
  }
  const written = withRecord(world, Option.some(request.next))
  return answered(written, position, Result.succeed(written.register))
}

/** The answer goes back, if anybody waits for it. */
export const answered = (world: World, position: number, result: Result.Result<Observation, LockError>): World => {
  const message = messageAt(world, position)
  const node = nodeAt(world, message.from)
  const isCurrent = node.settings.incarnation === message.incarnation && node.state.request?.id === message.id
  const isAwaited = isCurrent && !(node.isDeaf && message.request.kind === "Write")
  const rest = withoutMessage(world, position)
  return isAwaited ? { ...rest, network: [...rest.network, { ...message, answer: result }] } : rest
}

export const answer = (decide: Decide, world: World, position: number): Outcome => {
  const { answer: result, from, id, incarnation, request } = messageAt(world, position)
  const rest = withoutMessage(world, position)
  const node = nodeAt(rest, from)
  if (result === undefined || node.settings.incarnation !== incarnation || node.condition === "Dead") return rest
  const tag = request.kind === "Read" ? "ReadAnswered" : "WriteAnswered"
  return happen(decide, rest, from, { _tag: tag, id, result })
}

/** A read changes nothing, so one that is answered late is one that was sent late. */
export const readNow = (decide: Decide, world: World, position: number): Outcome => {
  const { from, id } = messageAt(world, position)
  const served = serve(world, position)
  if (served instanceof Violation) return served
  const back = served.network.findIndex((message) => message.from === from && message.id === id)
  return back === -1 ? served : answer(decide, served, back)
}

// ---- what a candidate asks to be done

const carryOut = (world: World, index: number, action: Action): Outcome => {
  const node = nodeAt(world, index)
  const { identity, incarnation } = node.settings
  const send = (id: number, request: Message["request"]): World =>
    node.isCut
      ? world
      : {
          ...world,
          network: [...world.network, { from: index, incarnation, id, request, answer: undefined, isLate: false }]
        }
  switch (action._tag) {
    case "Read":
      return send(action.id, { kind: "Read" })
    case "Write":
      return send(action.id, { kind: "Write", expected: action.expected, next: action.next })
    case "Watch":
      return withNode(world, index, { toldUpTo: action.after.fence, watchLags: false })
    case "BeginTerm": {
      if (action.token <= world.newestToken) {
        return new Violation("I2", `${identity} begins with token ${action.token} after ${world.newestToken}`)
      }
      if (node.work !== "None") {
        return new Violation("I1", `${identity} begins a term while work of its earlier one runs`)
      }
      const nodes = world.nodes.map((other, at) => (at === index ? other : { ...other, hasResigned: false }))
      return withNode({ ...world, nodes, newestToken: action.token }, index, {
        work: "Running",
        heldLife: node.state.role._tag === "Leading" ? node.state.role.tenure.uid : undefined
      })
    }
    case "InterruptWork":
      return withNode(world, index, { work: "Stopping" })
    // What nobody waits for may still be carried out: the message stays.
    case "Abandon":
    case "Invalidate":
    case "ReportOverrun":
      return world
  }
}

// ---- the invariants

const violationIn = (decide: Decide, world: World, index: number): Violation | undefined => {
  const node = nodeAt(world, index)
  const { identity } = node.settings
  const { request, role, seen } = node.state
  if (role._tag === "Stopped" && request !== undefined) {
    return new Violation("I5", `${identity} stopped with a request under way`)
  }
  const isHolder = role._tag === "Leading" || role._tag === "Yielding"
  if (isHolder && node.work === "Running" && seen !== undefined) {
    const isAnothers = standing(node.settings, seen.observation) !== "Own" || seen.observation.uid !== node.heldLife
    if (isAnothers) return new Violation("I1", `${identity} works on although it knows that the lock is not its own`)
  }
  const working = world.nodes.filter((other) => isWorking(decide, other, world.now))
  return working.length > 1
    ? new Violation("I1", `work runs in ${working.map((it) => it.settings.identity).join(" and ")} at once`)
    : undefined
}

/** Budgets end where leases do, to the nanosecond; clocks of other rates are rounded. */
const rounding = 10n

/**
 * Work runs until it is told to stop, and then within its budget. A process that has just come to life does at most what
 * its guards allow before it looks at its timers.
 */
const isWorking = (decide: Decide, node: Node, now: bigint): boolean => {
  if (node.condition !== "Alive" || node.work === "None" || !("tenure" in node.state.role)) return false
  const { role } = node.state
  const moment = momentOf(node.clock, now)
  if (node.work === "Running") return !node.hasThawed || decide.isValid(node.settings, role, moment)
  return elapsed(role.tenure.sentAt, moment) + rounding < node.settings.stopBy
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, it: unknown) => (typeof it === "bigint" ? String(it) : it))
