/**
 * Whether work ever ran outside leadership: checks what the replicas wrote about their work, after the fact. It knows
 * nothing of leases and elections, only that terms are ordered by token and that two of them never work at the same time.
 *
 * All times are milliseconds on the one clock of the machine, so an overlap shorter than that is not seen.
 */
import * as Arr from "effect/Array"

/** One line of a replica about its work under a token. */
export interface Mark {
  readonly at: number
  readonly replica: string
  readonly token: bigint
  readonly did: "started" | "ticked" | "stopped"
}

/** A time in which a replica's process was stopped. `until` is absent while it still is. */
export interface Freeze {
  readonly replica: string
  readonly from: number
  readonly until?: number
}

export interface History {
  readonly marks: ReadonlyArray<Mark>
  readonly freezes: ReadonlyArray<Freeze>
}

export type Violation =
  /** Work after work under a greater token had begun. */
  | { readonly _tag: "Late"; readonly mark: Mark; readonly successor: Mark }
  /** A tick before its term had started or after it had stopped. */
  | { readonly _tag: "Stray"; readonly mark: Mark }
  /** Two replicas worked under one token; the mark is the later one's. */
  | { readonly _tag: "SharedToken"; readonly mark: Mark; readonly owner: Mark }

export interface Verdict {
  readonly terms: number
  readonly ticks: number
  /** The ticks among the violations. */
  readonly outside: ReadonlyArray<Mark>
  readonly violations: ReadonlyArray<Violation>
}

export const check = (history: History): Verdict => {
  const terms = termsOf(history.marks)
  const violations = terms.flatMap((term): ReadonlyArray<Violation> => {
    const owner = earliest(terms.filter((other) => other.token === term.token))
    if (owner !== undefined && owner.replica !== term.replica) {
      return term.marks.map((mark) => ({ _tag: "SharedToken", mark, owner }))
    }
    const successor = earliest(terms.filter((other) => other.token > term.token))
    return term.marks.flatMap((mark): ReadonlyArray<Violation> => {
      if (successor !== undefined && mark.at > successor.at && !isExcused(history.freezes, term, mark)) {
        return [{ _tag: "Late", mark, successor }]
      }
      return mark.did === "ticked" && isStray(term, mark) ? [{ _tag: "Stray", mark }] : []
    })
  })
  return {
    terms: terms.length,
    ticks: history.marks.filter(({ did }) => did === "ticked").length,
    outside: violations.map(({ mark }) => mark).filter(({ did }) => did === "ticked"),
    violations
  }
}

export const describe = (violation: Violation): string => {
  const { mark } = violation
  switch (violation._tag) {
    case "Late":
      return `${name(mark)} ${mark.did} ${mark.at - violation.successor.at} ms after ${name(violation.successor)} had begun`
    case "Stray":
      return `${name(mark)} ${mark.did} before it had started or after it had stopped`
    case "SharedToken":
      return `${name(mark)} ${mark.did} under the token of ${violation.owner.replica}`
  }
}

const name = (mark: Mark): string => `${mark.replica} (token ${mark.token})`

/** The work of one replica under one token, in order of time. */
interface Term {
  readonly token: bigint
  readonly replica: string
  readonly marks: Arr.NonEmptyArray<Mark>
}

const termsOf = (marks: ReadonlyArray<Mark>): ReadonlyArray<Term> =>
  Object.values(
    Arr.groupBy(
      marks.toSorted((a, b) => a.at - b.at),
      (mark) => name(mark)
    )
  ).map((own) => ({ token: own[0].token, replica: own[0].replica, marks: own }))

const earliest = (terms: ReadonlyArray<Term>): Mark | undefined =>
  terms.map(({ marks }) => marks[0]).toSorted((a, b) => a.at - b.at)[0]

const isStray = (term: Term, tick: Mark): boolean => {
  const started = term.marks.find(({ did }) => did === "started")
  const stopped = term.marks.findLast(({ did }) => did === "stopped")
  return started === undefined || tick.at < started.at || (stopped !== undefined && tick.at > stopped.at)
}

/** A process that was stopped between its last tick and the end of its work could not have ended it any earlier. */
const isExcused = (freezes: ReadonlyArray<Freeze>, term: Term, mark: Mark): boolean => {
  if (mark.did !== "stopped") return false
  const lastWork = term.marks.findLast(({ did }) => did !== "stopped") ?? mark
  return freezes.some(
    ({ from, replica, until }) =>
      replica === term.replica && from <= mark.at && (until === undefined || until >= lastWork.at)
  )
}
