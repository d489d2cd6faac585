/**
 * Draws a history as text. What a candidate is at an instant is also what the SVG draws.
 */
import type { Entry, TimelineOptions } from "../History.ts"
import { seconds, violations } from "./Invariants.ts"

/** What a candidate is for a while, from the dullest to what must not be missed. */
export const conditions = ["Away", "Standby", "Still", "Stopping", "WorksStill", "Works"] as const
export type Condition = (typeof conditions)[number]

export interface Segment {
  readonly candidate: string
  readonly from: number
  readonly to: number
  readonly condition: Condition
  readonly token: bigint | undefined
}

interface Row {
  isUp: boolean
  isStill: boolean
  isEnding: boolean
  works: number
  token: bigint | undefined
}

export const rowsOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> => [
  ...new Set(entries.flatMap(({ candidate }) => (candidate === undefined ? [] : [candidate])))
]

export const segmentsOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<Segment> => {
  const segments: Array<Segment> = []
  const rows = new Map<string, { row: Row; since: number }>()
  const end = entries.at(-1)?.at ?? 0
  for (const { at, candidate, event } of entries) {
    if (candidate === undefined) continue
    const known = rows.get(candidate) ?? { row: initial, since: at }
    const row = after(known.row, event)
    const isSame = conditionOf(known.row) === conditionOf(row) && known.row.token === row.token
    if (!isSame && at > known.since) segments.push(segment(candidate, known.row, known.since, at))
    rows.set(candidate, { row, since: isSame ? known.since : at })
  }
  for (const [candidate, { row, since }] of rows) segments.push(segment(candidate, row, since, end))
  return segments
}

const segment = (candidate: string, row: Row, from: number, to: number): Segment => ({
  candidate,
  from,
  to,
  condition: conditionOf(row),
  token: row.works > 0 ? row.token : undefined
})

const initial: Row = { isUp: false, isStill: false, isEnding: false, works: 0, token: undefined }

const after = (row: Row, event: Entry["event"]): Row => {
  switch (event._tag) {
    case "Started":
      return { ...initial, isUp: true }
    case "Closed":
    case "Crashed":
      return initial
    case "Frozen":
    case "Suspended":
      return { ...row, isStill: true }
    case "Thawed":
      return { ...row, isStill: false }
    case "TermEnding":
      return { ...row, isEnding: true }
    case "WorkStarted":
      return { ...row, isUp: true, isEnding: false, works: row.works + 1, token: event.token }
    case "WorkEnded":
      return { ...row, works: Math.max(0, row.works - 1) }
    default:
      return row
  }
}

const conditionOf = ({ isEnding, isStill, isUp, works }: Row): Condition => {
  if (!isUp) return "Away"
  if (isStill) return works > 0 ? "WorksStill" : "Still"
  if (works === 0) return "Standby"
  return isEnding ? "Stopping" : "Works"
}

const signs: { readonly [C in Condition]: string } = {
  Away: " ",
  Standby: "·",
  Still: "-",
  Stopping: "▒",
  WorksStill: "=",
  Works: "█"
}

const legend =
  "█ works   ▒ work stops   = stands still amid work   - stands still   · stands by   x crashes   ! violation"

export const text = (entries: ReadonlyArray<Entry>, options: TimelineOptions = {}): string => {
  const from = options.from ?? 0
  const to = Math.max(from + 1, options.to ?? entries.at(-1)?.at ?? 0)
  const width = options.width ?? 100
  const columnOf = (at: number) => Math.min(width - 1, Math.floor(((at - from) / (to - from)) * width))
  const isShown = ({ at }: { readonly at: number }) => at >= from && at <= to
  const names = rowsOf(entries)
  const margin = Math.max(0, ...names.map((name) => name.length)) + 2

  const drawn = names.map((name) => {
    const columns = Array.from({ length: width }, () => 0)
    for (const segment of segmentsOf(entries)) {
      if (segment.candidate !== name || segment.to < from || segment.from > to) continue
      const rank = conditions.indexOf(segment.condition)
      const first = columnOf(Math.max(from, segment.from))
      const next = Math.ceil(((Math.min(to, segment.to) - from) / (to - from)) * width)
      for (let at = first; at < Math.max(first + 1, next); at += 1) {
        columns[at] = Math.max(columns[at] ?? 0, rank)
      }
    }
    const row = columns.map((rank) => signs[conditions[rank] ?? "Away"])
    for (const entry of entries) {
      if (entry.candidate === name && entry.event._tag === "Crashed" && isShown(entry)) row[columnOf(entry.at)] = "x"
    }
    return name.padEnd(margin) + row.join("").trimEnd()
  })
  const found = violations(entries).filter(isShown)
  const marks = Array.from({ length: width }, () => " ")
  for (const { at } of found) marks[columnOf(at)] = "!"
  const happened = [
    ...entries.filter(isShown).flatMap((entry) => {
      const what = describe(entry)
      return what === undefined ? [] : [{ at: entry.at, what: `${entry.candidate ?? ""} ${what}`.trim() }]
    }),
    ...found.map(({ at, invariant, what }) => ({ at, what: `!! ${invariant}: ${what}` }))
  ].toSorted((a, b) => a.at - b.at)
  return [
    `${" ".repeat(margin)}${seconds(from)}${seconds(to).padStart(Math.max(1, width - seconds(from).length))}`,
    ...drawn,
    ...(found.length > 0 ? [" ".repeat(margin) + marks.join("").trimEnd()] : []),
    legend,
    ...happened.map(({ at, what }) => `${seconds(at).padStart(12)}  ${what}`)
  ].join("\n")
}

/** What is worth a line of its own. */
export const describe = ({ event }: Entry): string | undefined => {
  switch (event._tag) {
    case "Fault":
      return event.what
    case "AllClosing":
      return "all are told to end"
    case "Ended":
      return "the end"
    case "FaultsEnded":
      return "no more faults"
    case "Crashed":
      return "crashes"
    case "Frozen":
      return "is frozen"
    case "Suspended":
      return "is suspended"
    case "Thawed":
      return "goes on"
    case "Started":
      return "starts"
    case "Closing":
      return "is told to end"
    case "Closed":
      return "has ended"
    case "TermBegan":
      return `leads with token ${event.token}`
    case "TermEnding":
      return `leads no more: ${event.end}`
    case "Failed":
      return `fails: ${event.cause}`
    case "Overrun":
      return `its work has outlived its lease (token ${event.token})`
    case "Took":
      return `takes the lock${event.over === undefined ? "" : ` over from ${event.over}`}`
    case "Released":
      return "releases the lock"
    case "TermEnded":
    case "WorkStarted":
    case "WorkEnded":
    case "GuardStarted":
    case "GuardEnded":
    case "Granted":
      return undefined
  }
}
