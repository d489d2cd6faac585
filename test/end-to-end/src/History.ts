/**
 * Judges what several replicas did, by their journals alone: whether two ever worked at once, whether tokens grew, and
 * whether anything was done outside its term. It knows nothing of how the election works.
 *
 * A replica works from the beginning of its work to the end of the last finalizer. Where the end is missing (the process
 * was killed, or still works) it worked until its last entry. A process that was paused did not work while it stood
 * still: if it did nothing but stop afterwards, it worked until the pause began.
 */
import * as Arr from "effect/Array"
import type { Entry, WorkEntry } from "./Journal.ts"
import { isWork } from "./Journal.ts"

/** A process stood still from one instant to another: SIGSTOP, SIGCONT. */
export interface Pause {
  readonly pid: number
  readonly from: bigint
  /** None: it has not gone on. */
  readonly until: bigint | undefined
}

export interface Term {
  readonly identity: string
  readonly pid: number
  readonly token: bigint
  readonly startedAt: bigint
  readonly ticks: ReadonlyArray<bigint>
  /** When the work was told to stop. */
  readonly stoppingAt: bigint | undefined
  /** When its last finalizer had ended. */
  readonly endedAt: bigint | undefined
  readonly workedUntil: bigint
}

export interface Violation {
  readonly rule: "TwoAtOnce" | "TokenDidNotGrow" | "OutsideItsTerm" | "AfterANewerToken"
  readonly detail: string
}

/** In the order in which they began. */
export const termsOf = (entries: ReadonlyArray<Entry>, pauses: ReadonlyArray<Pause> = []): ReadonlyArray<Term> =>
  Object.values(Arr.groupBy(entries.filter(isWork), termKey))
    .flatMap((work) => {
      const started = work.find(({ event }) => event === "Started")
      if (started === undefined) return []
      const { at: startedAt, identity, pid, token } = started
      const ticks = work.filter(({ event }) => event === "Tick").map(({ at }) => at)
      const stoppingAt = work.find(({ event }) => event === "Stopping")?.at
      const endedAt = work.find(({ event }) => event === "Ended")?.at
      const lastDone = ticks.at(-1) ?? startedAt
      const last = endedAt ?? stoppingAt ?? lastDone
      const pause = pauses.find((it) => it.pid === pid && lastDone <= it.from && it.from <= last)
      return [{ identity, pid, token, startedAt, ticks, stoppingAt, endedAt, workedUntil: pause?.from ?? last }]
    })
    .toSorted(by(({ startedAt }) => startedAt))

export const violationsOf = (
  entries: ReadonlyArray<Entry>,
  pauses: ReadonlyArray<Pause> = []
): ReadonlyArray<Violation> => {
  const terms = termsOf(entries, pauses)
  const work = entries.filter(isWork).toSorted(by(({ at }) => at))
  return [...twoAtOnce(terms), ...tokensThatDidNotGrow(terms), ...outsideTheirTerm(work), ...afterANewerToken(work)]
}

const twoAtOnce = (terms: ReadonlyArray<Term>): ReadonlyArray<Violation> =>
  terms.flatMap((later, index) =>
    terms
      .slice(0, index)
      .filter(({ workedUntil }) => workedUntil > later.startedAt)
      .map((earlier) => ({
        rule: "TwoAtOnce" as const,
        detail:
          `${describe(later)} began at ${later.startedAt}, and ${describe(earlier)} worked until ` +
          `${earlier.workedUntil}, ${inMillis(earlier.workedUntil - later.startedAt)} ms later`
      }))
  )

const tokensThatDidNotGrow = (terms: ReadonlyArray<Term>): ReadonlyArray<Violation> =>
  terms.flatMap((term, index) => {
    const before = terms[index - 1]
    return before === undefined || before.token < term.token
      ? []
      : [{ rule: "TokenDidNotGrow" as const, detail: `${describe(term)} followed ${describe(before)}` }]
  })

const outsideTheirTerm = (work: ReadonlyArray<WorkEntry>): ReadonlyArray<Violation> => {
  const phases = new Map<string, WorkEntry["event"]>()
  const after = { Started: undefined, Tick: "Started", Stopping: "Started", Ended: "Stopping" } as const
  return work.flatMap((entry) => {
    const phase = phases.get(termKey(entry))
    const isAllowed = phase === after[entry.event]
    if (entry.event !== "Tick") phases.set(termKey(entry), entry.event)
    const state = phase === undefined ? "had not begun" : `was ${phase}`
    return isAllowed
      ? []
      : [{ rule: "OutsideItsTerm" as const, detail: `${entry.event} at ${entry.at} when ${describe(entry)} ${state}` }]
  })
}

const afterANewerToken = (work: ReadonlyArray<WorkEntry>): ReadonlyArray<Violation> => {
  let newest: WorkEntry | undefined
  return work.flatMap((entry) => {
    if (newest === undefined || entry.token > newest.token) newest = entry
    return entry.event !== "Tick" || entry.token === newest.token
      ? []
      : [
          {
            rule: "AfterANewerToken" as const,
            detail: `${describe(entry)} worked ${inMillis(entry.at - newest.at)} ms after ${describe(newest)} had begun`
          }
        ]
  })
}

const termKey = ({ pid, token }: { readonly pid: number; readonly token: bigint }) => `${pid}/${token}`

const describe = ({ identity, token }: { readonly identity: string; readonly token: bigint }) =>
  `${identity} with token ${token}`

export const by =
  <A>(key: (value: A) => bigint) =>
  (a: A, b: A): number =>
    key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0

export const inMillis = (nanos: bigint): number => Number(nanos / 1000n) / 1000
