/**
 * When work ran, by the entries of a history. A process that stands still does nothing, and one that crashed never will.
 */
import type { Entry } from "../History.ts"

export interface Span {
  readonly candidate: string
  readonly process: string
  readonly token: bigint
  /** Positions in the history, which order what happens at one instant. */
  readonly startedAt: Point
  readonly endedAt: Point
  readonly isOpen: boolean
  /** The times in which it ran, without those in which its process stood still. */
  readonly ran: ReadonlyArray<Interval>
  /** When it could not have been stopped yet, since the process had stood still until its lease was over. */
  readonly excused: ReadonlyArray<Excuse>
}

export interface Excuse {
  readonly from: number
  readonly to: number
}

export interface Point {
  readonly at: number
  readonly position: number
}

export interface Interval {
  readonly from: Point
  readonly to: Point
}

export const before = (a: Point, b: Point): boolean => a.at < b.at || (a.at === b.at && a.position < b.position)

export const workOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<Span> => {
  const open = new Map<number, Omit<Span, "endedAt" | "isOpen" | "ran" | "excused">>()
  const spans: Array<Span> = []
  const still = standstills(entries)
  const close = (work: number, endedAt: Point, isOpen: boolean) => {
    const span = open.get(work)
    if (span === undefined) return
    open.delete(work)
    const pauses = (still.get(span.process) ?? []).filter(
      (it) => before(span.startedAt, it.to) && before(it.from, endedAt)
    )
    const excused = excuses(entries, span.process, span.startedAt, pauses)
    spans.push({ ...span, endedAt, isOpen, ran: without({ from: span.startedAt, to: endedAt }, pauses), excused })
  }
  for (const [position, { at, candidate, event, process }] of entries.entries()) {
    if (candidate === undefined || process === undefined) continue
    const point = { at, position }
    if (event._tag === "WorkStarted") {
      open.set(event.work, { candidate, process, token: event.token, startedAt: point })
    }
    if (event._tag === "WorkEnded") close(event.work, point, false)
    if (event._tag === "Crashed")
      for (const [work, span] of open) if (span.process === process) close(work, point, false)
  }
  const end = { at: entries.at(-1)?.at ?? 0, position: entries.length }
  for (const work of open.keys()) close(work, end, true)
  return spans.toSorted((a, b) => a.startedAt.position - b.startedAt.position)
}

/** For each process, when it stood still. */
export const standstills = (entries: ReadonlyArray<Entry>): ReadonlyMap<string, ReadonlyArray<Interval>> => {
  const found = new Map<string, Array<Interval>>()
  const since = new Map<string, Point>()
  const end = { at: entries.at(-1)?.at ?? 0, position: entries.length }
  const close = (process: string, to: Point) => {
    const from = since.get(process)
    if (from === undefined) return
    since.delete(process)
    found.set(process, [...(found.get(process) ?? []), { from, to }])
  }
  for (const [position, { at, event, process }] of entries.entries()) {
    if (process === undefined) continue
    if (event._tag === "Frozen" || event._tag === "Suspended") {
      if (!since.has(process)) since.set(process, { at, position })
    }
    if (event._tag === "Thawed" || event._tag === "Crashed") close(process, { at, position })
  }
  for (const process of since.keys()) close(process, end)
  return found
}

/**
 * A process that goes on past its renew deadline tells its work to stop at that instant, and no sooner: that the work's
 * finalizers run beyond the lease is not the election's fault, for as long as they may take. Work that still runs then
 * could not be interrupted.
 */
const excuses = (
  entries: ReadonlyArray<Entry>,
  process: string,
  startedAt: Point,
  pauses: ReadonlyArray<Interval>
): ReadonlyArray<Excuse> =>
  pauses.flatMap((pause) => {
    let sentAt = startedAt.at
    let timings: { readonly renewDeadline: number; readonly stopBy: number } | undefined
    for (const entry of entries.slice(0, pause.from.position)) {
      if (entry.process !== process) continue
      if (entry.event._tag === "Granted") sentAt = entry.event.sentAt
      if (entry.event._tag === "Started") timings = entry.event
    }
    if (timings === undefined || pause.to.at < sentAt + timings.renewDeadline) return []
    const budget = timings.stopBy - timings.renewDeadline
    return [{ from: Math.max(pause.to.at, sentAt + timings.stopBy), to: pause.to.at + budget }]
  })

const without = (whole: Interval, pauses: ReadonlyArray<Interval>): ReadonlyArray<Interval> => {
  const rest: Array<Interval> = []
  let from = whole.from
  for (const pause of pauses) {
    if (before(from, pause.from)) rest.push({ from, to: pause.from })
    if (before(from, pause.to)) from = pause.to
  }
  if (before(from, whole.to)) rest.push({ from, to: whole.to })
  return rest
}
