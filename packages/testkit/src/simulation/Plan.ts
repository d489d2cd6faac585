/**
 * What goes wrong in a simulation, and when: data that a person can write and a seed can make.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { LeaseLock } from "@effect-leader/core"
import * as FaultyLock from "../FaultyLock.ts"
import type { Timings } from "./Timings.ts"

/**
 * What happens to a candidate or to the lock. Without `candidate` it happens to all.
 *
 * @since 0.1.0
 */
export type Fault =
  /** The way to the lock is like this from now on. */
  | { readonly _tag: "Network"; readonly candidate?: string; readonly conditions: Partial<FaultyLock.Conditions> }
  | { readonly _tag: "WatchEnds"; readonly candidate?: string }
  /** It is told once more what it was told last. */
  | { readonly _tag: "NoticeRepeated"; readonly candidate?: string }
  /** The process stands still: SIGSTOP, swapping, a blocked event loop. */
  | { readonly _tag: "Freeze"; readonly candidate?: string; readonly for: Duration.Input }
  /** The machine sleeps: its monotonic clock stands still, too. */
  | { readonly _tag: "Suspend"; readonly candidate?: string; readonly for: Duration.Input }
  /** Somebody sets the wall clock, back if negative. */
  | { readonly _tag: "SetWall"; readonly candidate?: string; readonly byMillis: number }
  /** The process is gone from one instant to the next; another one with its identity follows, or none. */
  | { readonly _tag: "Crash"; readonly candidate?: string; readonly restartAfter?: Duration.Input }
  /** The process is told to end, and does so in order. */
  | { readonly _tag: "Drain"; readonly candidate?: string; readonly restartAfter?: Duration.Input }
  | { readonly _tag: "Resign"; readonly candidate?: string }
  /** A second process with the same identity starts. */
  | { readonly _tag: "Double"; readonly candidate?: string }
  /** Somebody edits a label of the lock. */
  | { readonly _tag: "Edit" }
  /** Somebody deletes the lock; not while a candidate is about that has not seen its holder (docs/testing.md). */
  | { readonly _tag: "Delete" }
  /** Somebody deletes the lock and makes it again as it was. */
  | { readonly _tag: "Recreate" }

/**
 * A fault and when it happens, counted from the beginning.
 *
 * @since 0.1.0
 */
export interface Planned {
  readonly at: Duration.Input
  readonly fault: Fault
}

/**
 * The kinds of faults that chance may choose from.
 *
 * @since 0.1.0
 */
export type Kind = Fault["_tag"]

export const everyKind: ReadonlyArray<Kind> = [
  "Network",
  "WatchEnds",
  "NoticeRepeated",
  "Freeze",
  "Suspend",
  "SetWall",
  "Crash",
  "Drain",
  "Resign",
  "Double",
  "Edit",
  "Delete",
  "Recreate"
]

export interface Scope {
  readonly names: ReadonlyArray<string>
  /** Milliseconds. */
  readonly duration: number
  readonly timings: Timings
  readonly kinds: ReadonlyArray<Kind>
}

/** A plan that the `Random` of the context chooses. */
export const random = (scope: Scope): Effect.Effect<ReadonlyArray<Planned>> =>
  Effect.map(Random.Random, (source) => {
    const chance = dice(() => source.nextDoubleUnsafe())
    const plan = [...(scope.kinds.includes("Network") ? networks(scope, chance) : []), ...incidents(scope, chance)]
    return plan.filter(({ at }) => at < scope.duration).toSorted((a, b) => a.at - b.at)
  })

interface Dice {
  readonly between: (least: number, most: number) => number
  readonly hits: (probability: number) => boolean
  readonly of: <A>(first: A, ...rest: ReadonlyArray<A>) => A
  /** How long until something that happens so often on average. */
  readonly until: (mean: number) => number
}

const dice = (next: () => number): Dice => ({
  between: (least, most) => least + next() * (most - least),
  hits: (probability) => next() < probability,
  of: (first, ...rest) => [first, ...rest][Math.floor(next() * (rest.length + 1))] ?? first,
  until: (mean) => -Math.log(1 - next()) * mean
})

type Made = Planned & { readonly at: number }

/** For each candidate, and for all at once: times of calm, and times in which something is wrong. */
const networks = ({ duration, names, timings }: Scope, chance: Dice): ReadonlyArray<Made> => {
  const plan: Array<Made> = []
  for (const candidate of [...names, undefined]) {
    const whose = candidate === undefined ? {} : { candidate }
    const calmFor = candidate === undefined ? timings.lease * 4 : timings.lease * 1.5
    let at = chance.until(calmFor)
    while (at < duration) {
      plan.push({ at, fault: { _tag: "Network", ...whose, conditions: weather(timings, chance) } })
      at += chance.between(0.02, chance.of(0.3, 1, 2, 3)) * timings.lease
      plan.push({ at, fault: { _tag: "Network", ...whose, conditions: {} } })
      at += chance.until(calmFor)
    }
  }
  return plan
}

const weather = ({ lease, request }: Timings, chance: Dice): Partial<FaultyLock.Conditions> => {
  const lateness = [0, chance.of(request, lease / 2, lease)] as const
  const some = chance.of(1, chance.between(0.05, 0.9))
  const retryAfter = chance.of(0, request, lease)
  const reason = new LeaseLock.Unavailable({
    detail: "injected",
    ...(retryAfter > 0 ? { retryAfter: Duration.millis(retryAfter) } : {})
  })
  return chance.of<() => Partial<FaultyLock.Conditions>>(
    () => FaultyLock.cut,
    () => ({ chances: { RequestLost: some } }),
    () => ({ chances: { AnswerLost: some } }),
    // Whatever it sends arrives, and it hears of nothing.
    () => ({ chances: { AnswerLost: 1, NoticeLost: 1 } }),
    () => ({ chances: { AnswerLate: some }, lateness }),
    () => ({ chances: { RequestLate: some }, lateness }),
    () => ({ chances: { Refused: some }, reason }),
    () => ({ chances: { AnswerRefused: some }, reason }),
    () => ({ latency: [0, chance.of(request * 0.4, request * 1.2)] }),
    () => ({ chances: { NoticeLost: chance.of(1, some) } }),
    () => ({ chances: { NoticeLate: chance.of(1, some) }, lateness }),
    () => ({ chances: { NoticeRepeated: some, NoticeStale: some, WatchEnds: some / 4 } }),
    () => ({
      chances: Object.fromEntries(everyChance.map((fault) => [fault, some / 6])),
      lateness,
      latency: [0, request / 4]
    })
  )()
}

const everyChance = [
  "RequestLost",
  "RequestLate",
  "AnswerLost",
  "AnswerLate",
  "Refused",
  "AnswerRefused",
  "NoticeLost",
  "NoticeLate",
  "NoticeRepeated",
  "NoticeStale",
  "WatchEnds"
] as const

/** Everything else, one after another, now and then close together. */
const incidents = ({ duration, kinds, names, timings }: Scope, chance: Dice): ReadonlyArray<Made> => {
  const allowed = kinds.filter((kind) => kind !== "Network")
  const [first, ...rest] = allowed
  const [name, ...others] = names
  if (first === undefined || name === undefined) return []
  const plan: Array<Made> = []
  const doubled: Array<string> = []
  const forbidden: Array<{ readonly candidate: string; readonly tag: Kind; readonly until: number }> = []
  const { deadline, lease, retry } = timings
  let at = chance.until(lease / 2)
  while (at < duration) {
    const candidate = chance.of(name, ...others, ...doubled)
    const tag = chance.of(first, ...rest)
    const isForbidden = forbidden.some((it) => it.candidate === candidate && it.tag === tag && it.until > at)
    const howLong = chance.of(
      chance.between(0, retry),
      chance.between(retry, deadline),
      chance.between(deadline * 0.8, lease * 1.2),
      chance.between(lease, lease * 3)
    )
    const fault = make(tag, candidate, howLong, timings, chance)
    const isDouble = tag === "Double" && (doubled.includes(candidate) || doubled.includes(doubleOf(candidate)))
    if (!isForbidden && !isDouble) plan.push({ at, fault })
    if (tag === "Double" && !isDouble) {
      doubled.push(doubleOf(candidate))
      const until = at + chance.between(lease, lease * 6)
      plan.push({ at: until, fault: { _tag: "Drain", candidate: doubleOf(candidate) } })
    }
    // A suspension must be seen by the wall clock: nobody sets that back around one.
    if (tag === "SetWall" || tag === "Suspend") {
      const other = tag === "SetWall" ? "Suspend" : "SetWall"
      forbidden.push({ candidate, tag: other, until: at + howLong + lease * 3 })
    }
    at += chance.of(chance.until(lease / 2), chance.between(0, retry))
  }
  return plan
}

/** The row of a candidate's second process. */
export const doubleOf = (candidate: string): string => `${candidate}~`

const make = (tag: Kind, candidate: string, howLong: number, { lease, retry }: Timings, chance: Dice): Fault => {
  switch (tag) {
    case "Freeze":
    case "Suspend":
      return { _tag: tag, candidate, for: howLong }
    case "SetWall":
      return {
        _tag: tag,
        candidate,
        byMillis: Math.round(
          chance.of(1, -1) *
            chance.of(chance.between(0, 10), retry * chance.of(1, 2, 3), chance.between(0, lease * 200))
        )
      }
    case "Crash":
    case "Drain":
      return { _tag: tag, candidate, restartAfter: chance.of(0, howLong) }
    case "WatchEnds":
    case "NoticeRepeated":
    case "Resign":
    case "Double":
      return { _tag: tag, candidate }
    case "Edit":
    case "Delete":
    case "Recreate":
      return { _tag: tag }
    case "Network":
      return { _tag: tag, candidate, conditions: {} }
  }
}

/** For the reader of a timeline. */
export const describe = (fault: Fault): string => {
  switch (fault._tag) {
    case "Network": {
      const { chances = {}, latency } = fault.conditions
      const parts = Object.entries(chances).map(([what, chance]) => `${what} ${Math.round((chance ?? 0) * 100)}%`)
      if (latency !== undefined && latency !== FaultyLock.calm.latency)
        parts.push(`latency up to ${Duration.toMillis(latency[1])} ms`)
      return parts.length === 0 ? "network is calm" : `network: ${parts.join(", ")}`
    }
    case "SetWall":
      return `wall clock is set by ${fault.byMillis} ms`
    case "WatchEnds":
      return "watch ends"
    case "NoticeRepeated":
      return "is told again what it knows"
    case "Resign":
      return "is asked to resign"
    case "Double":
      return "is started a second time"
    case "Edit":
      return "somebody edits the lock"
    case "Delete":
      return "somebody deletes the lock"
    case "Recreate":
      return "somebody deletes the lock and makes it again"
    case "Freeze":
    case "Suspend":
    case "Crash":
    case "Drain":
      return ""
  }
}
