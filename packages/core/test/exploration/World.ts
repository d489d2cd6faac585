/**
 * A bounded model of everything that an election can meet: candidates that run the decide room itself, one register, a
 * network, and clocks of different rates. Time goes from one instant that matters to the next.
 */
import { Option } from "effect"
import type { Result } from "effect"
import * as Candidate from "../../src/decide/Candidate.ts"
import * as Holder from "../../src/decide/Holder.ts"
import type { Instant, Moment } from "../../src/decide/Instant.ts"
import type { Event, Role, State, Step } from "../../src/decide/State.ts"
import type { LeaseRecord, LockError, Observation } from "../../src/LeaseLock.ts"
import type { Settings } from "../../src/Settings.ts"

export interface World {
  /** True nanoseconds. */
  readonly now: bigint
  readonly register: Observation
  /** How often the register was made. */
  readonly lives: number
  readonly nodes: ReadonlyArray<Node>
  readonly network: ReadonlyArray<Message>
  readonly faultsLeft: number
  readonly newestToken: bigint
}

export interface Node {
  readonly settings: Settings
  readonly clock: NodeClock
  readonly state: State
  readonly condition: "Alive" | "Frozen" | "Suspended" | "Dead"
  /** True time at which it froze or was suspended. */
  readonly since: bigint
  /** It runs again, and has not yet looked at its timers. */
  readonly hasThawed: boolean
  readonly work: "None" | "Running" | "Stopping"
  /** What the open watch has told last; none while there is no watch. */
  readonly toldUpTo: bigint | undefined
  readonly watchLags: boolean
  /** No request of it arrives any more. */
  readonly isCut: boolean
  /** Its writes arrive, and no answer to them comes back. */
  readonly isDeaf: boolean
  /** The life of the lock under which its term began. */
  readonly heldLife: string | undefined
  /** It was asked to resign, and nobody has led since. */
  readonly hasResigned: boolean
}

export interface NodeClock {
  /** Local seconds in a hundred true ones. */
  readonly rate: bigint
  /** What the monotonic clock missed in suspensions. */
  readonly missed: bigint
  /** By how much the wall clock was set. */
  readonly wallOffset: bigint
}

export interface Message {
  readonly from: number
  readonly incarnation: string
  readonly id: number
  readonly request:
    | { readonly kind: "Read" }
    | { readonly kind: "Write"; readonly expected: Observation; readonly next: LeaseRecord }
  readonly answer: Result.Result<Observation, LockError> | undefined
  /** Takes as long as it likes; the others arrive before any time passes. */
  readonly isLate: boolean
}

/** The decide room as the model runs it: the product's own, or a mutant of it. */
export interface Decide {
  readonly step: (settings: Settings, state: State, event: Event, now: Moment) => Step
  readonly wakeAt: (settings: Settings, state: State) => bigint | undefined
  readonly isValid: (settings: Settings, role: Role, now: Instant) => boolean
}

export const product: Decide = { step: Candidate.step, wakeAt: Candidate.wakeAt, isValid: Holder.isValid }

export class Violation {
  readonly invariant: "I1" | "I2" | "I3" | "I4" | "I5"
  readonly what: string
  constructor(invariant: Violation["invariant"], what: string) {
    this.invariant = invariant
    this.what = what
  }
}

export const second = 1_000_000_000n

export interface Entrant {
  readonly settings: Settings
  readonly rate: bigint
}

export const initial = (entrants: ReadonlyArray<Entrant>, faults: number): World => ({
  now: 0n,
  register: { record: Option.none(), version: "0", fence: 0n },
  lives: 0,
  nodes: entrants.map(({ rate, settings }) => started(settings, { rate, missed: 0n, wallOffset: 0n }, 0n)),
  network: [],
  faultsLeft: faults,
  newestToken: 0n
})

export const started = (settings: Settings, clock: NodeClock, now: bigint): Node => ({
  settings,
  clock,
  state: Candidate.initial(settings, momentOf(clock, now)),
  condition: "Alive",
  since: now,
  hasThawed: false,
  work: "None",
  toldUpTo: undefined,
  watchLags: false,
  isCut: false,
  isDeaf: false,
  heldLife: undefined,
  hasResigned: false
})

/** Chance is left out of the model: of what it decides, nothing is needed for safety. */
export const momentOf = (clock: NodeClock, now: bigint): Moment => {
  const local = (now * clock.rate) / 100n
  return { monotonic: local - clock.missed, wall: local + clock.wallOffset, chance: 0 }
}

/** The first true instant at which a candidate's monotonic clock shows so much. */
export const trueAt = (clock: NodeClock, monotonic: bigint): bigint =>
  ((monotonic + clock.missed) * 100n + clock.rate - 1n) / clock.rate

export const nodeAt = (world: World, index: number): Node => {
  const node = world.nodes[index]
  if (node === undefined) throw new Error(`no candidate ${index}`)
  return node
}

export const messageAt = (world: World, position: number): Message => {
  const message = world.network[position]
  if (message === undefined) throw new Error(`no message ${position}`)
  return message
}

export const withNode = (world: World, index: number, change: Partial<Node>): World => ({
  ...world,
  nodes: world.nodes.map((node, other) => (other === index ? { ...node, ...change } : node))
})

export const withoutMessage = (world: World, position: number): World => ({
  ...world,
  network: world.network.filter((_, other) => other !== position)
})

/** Whoever writes, the register goes on by one version. */
export const withRecord = (world: World, record: Option.Option<LeaseRecord>): World => {
  const fence = world.register.fence + 1n
  const isNew = Option.isNone(world.register.record) && Option.isSome(record)
  const lives = isNew ? world.lives + 1 : world.lives
  const uid = Option.isSome(record) ? { uid: `life ${lives}` } : {}
  return { ...world, lives, register: { record, version: String(fence), fence, ...uid } }
}
