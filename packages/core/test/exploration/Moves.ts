/**
 * All that can come next in a world. What is due happens before time passes; what arrives, arrives before time passes;
 * only the adversary, who pays for each fault, breaks that.
 */
import { DateTime, Duration, Option, Result } from "effect"
import { LockError, Unavailable } from "../../src/LeaseLock.ts"
import type { LeaseRecord } from "../../src/LeaseLock.ts"
import type { Event } from "../../src/decide/State.ts"
import { answer, answered, happen, isDue, notice, readNow, serve, thaw, tick, workEnded } from "./Happening.ts"
import type { Outcome } from "./Happening.ts"
import { messageAt, nodeAt, second, started, trueAt, withNode, withoutMessage, withRecord } from "./World.ts"
import type { Decide, Node, World } from "./World.ts"

export interface Move {
  readonly label: string
  readonly to: () => Outcome
}

export const everyFault = [
  "Lose",
  "Fail",
  "Delay",
  "Lag",
  "EndWatch",
  "StaleNotice",
  "Cut",
  "Deafen",
  "Crash",
  "Restart",
  "Freeze",
  "Suspend",
  "SetClock",
  "Resign",
  "Shutdown",
  "Edit",
  "Delete",
  "Recreate",
  "Empty",
  "Foreign"
] as const
export type Fault = (typeof everyFault)[number]

export interface Bounds {
  /** No time passes beyond this instant. */
  readonly horizon: bigint
  readonly faults: ReadonlyArray<Fault>
}

export const moves = (decide: Decide, bounds: Bounds, world: World): ReadonlyArray<Move> => {
  const urgent = urgentMoves(decide, world)
  const next = nextInstant(decide, world)
  const passes: ReadonlyArray<Move> =
    urgent.length === 0 && next !== undefined && next <= bounds.horizon
      ? [{ label: "time passes", to: () => ({ ...world, now: next }) }]
      : []
  return [...urgent, ...patientMoves(decide, world), ...faultMoves(decide, bounds, world), ...passes]
}

/** What happens before any time passes, when nobody interferes. */
export const urgentMoves = (decide: Decide, world: World): ReadonlyArray<Move> => {
  const found: Array<Move> = []
  for (const [index, node] of world.nodes.entries()) {
    if (node.condition !== "Alive") continue
    const name = node.settings.identity
    if (isDue(decide, node, world.now)) found.push({ label: `${name}: timer`, to: () => tick(decide, world, index) })
    if (hasNews(node, world) && !node.watchLags) {
      found.push({ label: `${name}: notice`, to: () => notice(decide, world, index) })
    }
    if (node.work === "Stopping" && mustHaveEnded(node) <= world.now) {
      found.push({ label: `${name}: work ended`, to: () => workEnded(decide, world, index) })
    }
  }
  for (const [position, message] of world.network.entries()) {
    if (!message.isLate && !isWaiting(world, position)) found.push(deliver(decide, world, position))
  }
  return found
}

/** What may happen now or later. */
const patientMoves = (decide: Decide, world: World): ReadonlyArray<Move> => {
  const found: Array<Move> = []
  for (const [index, node] of world.nodes.entries()) {
    const name = node.settings.identity
    if (node.condition === "Frozen" || node.condition === "Suspended") {
      found.push({ label: `${name}: runs again`, to: () => thaw(decide, world, index) })
    }
    if (node.condition !== "Alive") continue
    if (hasNews(node, world) && node.watchLags) {
      found.push({ label: `${name}: late notice`, to: () => notice(decide, world, index) })
    }
    if (node.work === "Stopping" && mustHaveEnded(node) > world.now) {
      found.push({ label: `${name}: work ended`, to: () => workEnded(decide, world, index) })
    }
  }
  for (const [position, message] of world.network.entries()) {
    if (message.isLate && !isWaiting(world, position)) found.push(deliver(decide, world, position))
  }
  return found
}

const hasNews = (node: Node, world: World): boolean =>
  node.toldUpTo !== undefined && world.register.fence > node.toldUpTo

const isWaiting = (world: World, position: number): boolean => {
  const { answer: result, from } = messageAt(world, position)
  const { condition } = nodeAt(world, from)
  return result !== undefined && (condition === "Frozen" || condition === "Suspended")
}

const deliver = (decide: Decide, world: World, position: number): Move => {
  const { answer: result, from, request } = messageAt(world, position)
  const name = nodeAt(world, from).settings.identity
  if (result !== undefined) return { label: `${name}: answer`, to: () => answer(decide, world, position) }
  return request.kind === "Read"
    ? { label: `${name}: read`, to: () => readNow(decide, world, position) }
    : { label: `${name}: write carried out`, to: () => serve(world, position) }
}

/** Work obeys its budget: none of it outlives the lease. */
const mustHaveEnded = (node: Node): bigint =>
  "tenure" in node.state.role ? trueAt(node.clock, node.state.role.tenure.sentAt.monotonic + node.settings.stopBy) : 0n

const nextInstant = (decide: Decide, world: World): bigint | undefined => {
  const instants = world.nodes.flatMap((node) => {
    if (node.condition === "Dead") return []
    const wakeAt = decide.wakeAt(node.settings, node.state)
    const own = wakeAt === undefined ? [] : [trueAt(node.clock, wakeAt)]
    return node.work === "Stopping" ? [...own, mustHaveEnded(node)] : own
  })
  return instants.filter((at) => at > world.now).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))[0]
}

// ---- the adversary

const faultMoves = (decide: Decide, bounds: Bounds, world: World): ReadonlyArray<Move> => {
  if (world.faultsLeft === 0) return []
  const found: Array<Move> = []
  const charged: World = { ...world, faultsLeft: world.faultsLeft - 1 }
  const may = (fault: Fault, label: string, to: () => Outcome) => {
    if (bounds.faults.includes(fault)) found.push({ label: `${label} (fault)`, to })
  }
  for (const position of world.network.keys()) networkFaults(charged, position, may)
  for (const index of world.nodes.keys()) processFaults(decide, charged, index, may)
  lockFaults(charged, may)
  return found
}

type May = (fault: Fault, label: string, to: () => Outcome) => void

const networkFaults = (world: World, position: number, may: May): void => {
  const message = messageAt(world, position)
  const name = nodeAt(world, message.from).settings.identity
  const what = message.answer === undefined ? message.request.kind.toLowerCase() : "answer"
  may("Lose", `${name}: ${what} lost`, () => withoutMessage(world, position))
  if (!message.isLate) {
    const late = { ...message, isLate: true }
    const network = world.network.map((other) => (other === message ? late : other))
    may("Delay", `${name}: ${what} delayed`, () => ({ ...world, network }))
  }
  if (message.answer === undefined) {
    const error = new LockError({ lock: "model", reason: new Unavailable() })
    may("Fail", `${name}: ${what} refused with 500`, () => answered(world, position, Result.fail(error)))
  }
}

const processFaults = (decide: Decide, world: World, index: number, may: May): void => {
  const node = nodeAt(world, index)
  const name = node.settings.identity
  const then = (event: Event) => () => happen(decide, world, index, event)
  if (node.condition === "Dead") {
    const incarnation = `${node.settings.incarnation}'`
    const again = started({ ...node.settings, incarnation }, node.clock, world.now)
    may("Restart", `${name}: restarts`, () => withNode(world, index, again))
    return
  }
  const died = { condition: "Dead", work: "None", toldUpTo: undefined, watchLags: false } as const
  may("Crash", `${name}: crashes`, () => withNode(world, index, died))
  if (node.condition !== "Alive") return
  if (!node.isCut) may("Cut", `${name}: is cut off`, () => withNode(world, index, { isCut: true }))
  if (!node.isDeaf) {
    may("Deafen", `${name}: is heard and hears nothing`, () => withNode(world, index, { isDeaf: true }))
  }
  may("Freeze", `${name}: is frozen`, () => withNode(world, index, { condition: "Frozen", since: world.now }))
  may("Suspend", `${name}: is suspended`, () => withNode(world, index, { condition: "Suspended", since: world.now }))
  const clock = { ...node.clock, wallOffset: node.clock.wallOffset + 3600n * second }
  may("SetClock", `${name}: clock set forward`, () => withNode(world, index, { clock }))
  const resigned = withNode(world, index, { hasResigned: node.state.role._tag === "Leading" })
  may("Resign", `${name}: is asked to resign`, () => happen(decide, resigned, index, { _tag: "ResignAsked" }))
  may("Shutdown", `${name}: is asked to shut down`, then({ _tag: "ShutdownAsked" }))
  if (node.toldUpTo === undefined) return
  if (!node.watchLags) may("Lag", `${name}: watch lags`, () => withNode(world, index, { watchLags: true }))
  may("EndWatch", `${name}: watch ends`, () => {
    const ended = withNode(world, index, { toldUpTo: undefined, watchLags: false })
    return happen(decide, ended, index, { _tag: "WatchEnded", error: undefined })
  })
  if (node.state.seen !== undefined) {
    const { observation } = node.state.seen
    may("StaleNotice", `${name}: is told again what it knows`, then({ _tag: "Noticed", observation }))
  }
}

const lockFaults = (world: World, may: May): void => {
  if (Option.isNone(world.register.record)) return
  const record = world.register.record.value
  may("Edit", "somebody edits a label", () => withRecord(world, world.register.record))
  may("Empty", "somebody else releases the lock", () =>
    withRecord(world, Option.some({ ...record, holder: Option.none() }))
  )
  // docs/safety.md, assumption 5: not while a candidate is about that has never seen the lock exist.
  if (world.nodes.every((node) => node.condition === "Dead" || hasSeenIt(node))) {
    may("Delete", "somebody deletes the lock", () => withRecord(world, Option.none()))
    may("Recreate", "somebody deletes the lock and makes it again", () =>
      withRecord(withRecord(world, Option.none()), world.register.record)
    )
  }
  if (isRunOut(world, record)) {
    may("Foreign", "a foreign program takes the lock", () => withRecord(world, Option.some(foreignRecord(world))))
  }
}

const hasSeenIt = (node: Node): boolean => Option.isSome(node.state.seen?.observation.record ?? Option.none())

/** A foreign program that keeps the rules takes nobody's lease that has not run out by any clock. */
const isRunOut = (world: World, record: LeaseRecord): boolean =>
  Option.isNone(record.holder) ||
  BigInt(DateTime.toEpochMillis(record.renewedAt)) * 1_000_000n + Duration.toNanosUnsafe(record.leaseDuration) * 2n <=
    world.now

const foreignRecord = (world: World): LeaseRecord => ({
  holder: Option.some("foreigner"),
  leaseDuration: Duration.seconds(30),
  acquiredAt: DateTime.makeUnsafe(Number(world.now / 1_000_000n)),
  renewedAt: DateTime.makeUnsafe(Number(world.now / 1_000_000n)),
  transitions: 1
})
