/**
 * Judges a history by the invariants of docs/protocol.md. It knows nothing of how the election works.
 */
import type { Entry, Violation } from "../History.ts"
import { before, workOf } from "./Spans.ts"
import type { Interval, Point, Span } from "./Spans.ts"

export const violations = (entries: ReadonlyArray<Entry>): ReadonlyArray<Violation> => {
  const work = workOf(entries)
  return [
    ...twoAtOnce(work),
    ...guardedTooLate(entries),
    ...tokensThatDoNotGrow(entries),
    ...unled(entries),
    ...releasedTooEarly(entries, work),
    ...leftBehind(entries, work),
    ...notEnded(entries)
  ].toSorted((a, b) => a.at - b.at)
}

const twoAtOnce = (work: ReadonlyArray<Span>): ReadonlyArray<Violation> =>
  work.flatMap((later, index) =>
    work.slice(0, index).flatMap((earlier) => {
      if (earlier.process === later.process && earlier.token === later.token) return []
      const both = firstOverlap(counted(earlier), counted(later))
      if (both === undefined) return []
      const until = earlier.isOpen ? "had not ended" : `ended ${millis(earlier.endedAt.at - both.from.at)} later`
      return [
        {
          invariant: "I1" as const,
          at: both.from.at,
          what:
            `the work of ${describe(later)}, begun at ${seconds(later.startedAt.at)}, ran while that of ` +
            `${describe(earlier)} ran, which ${until}`
        }
      ]
    })
  )

/** When it ran, as far as anybody could have stopped it. */
const counted = ({ excused, ran }: Span): ReadonlyArray<Interval> =>
  excused.reduce<ReadonlyArray<Interval>>(
    (rest, excuse) =>
      rest.flatMap(({ from, to }) => [
        ...(from.at < excuse.from ? [{ from, to: to.at > excuse.from ? { at: excuse.from, position: -1 } : to }] : []),
        ...(to.at > excuse.to ? [{ from: from.at < excuse.to ? { at: excuse.to, position: -1 } : from, to }] : [])
      ]),
    ran
  )

const firstOverlap = (a: ReadonlyArray<Interval>, b: ReadonlyArray<Interval>): Interval | undefined => {
  for (const left of a) {
    for (const right of b) {
      const from = before(left.from, right.from) ? right.from : left.from
      const to = before(left.to, right.to) ? left.to : right.to
      if (before(from, to)) return { from, to }
    }
  }
  return undefined
}

const guardedTooLate = (entries: ReadonlyArray<Entry>): ReadonlyArray<Violation> => {
  let newest: { readonly token: bigint; readonly by: string } | undefined
  return entries.flatMap(({ at, candidate = "", event }) => {
    if (event._tag === "WorkStarted" && (newest === undefined || event.token > newest.token)) {
      newest = { token: event.token, by: candidate }
    }
    if (event._tag !== "GuardStarted" || newest === undefined || event.token >= newest.token) return []
    const what = `${candidate} began a guarded effect under token ${event.token} after ${newest.by} had begun under ${newest.token}`
    return [{ invariant: "I1" as const, at, what }]
  })
}

const tokensThatDoNotGrow = (entries: ReadonlyArray<Entry>): ReadonlyArray<Violation> => {
  const begun = new Set<string>()
  let newest: { readonly token: bigint; readonly by: string } | undefined
  return entries.flatMap(({ at, candidate = "", event, process }) => {
    if (event._tag !== "WorkStarted" && event._tag !== "TermBegan") return []
    const { token } = event
    const term = `${process}/${token}`
    if (begun.has(term)) return []
    begun.add(term)
    const former = newest
    newest = { token, by: candidate }
    if (former === undefined || former.token < token) return []
    const what = `${candidate} began a term with token ${token} after ${former.by} had begun one with ${former.token}`
    return [{ invariant: "I2" as const, at, what }]
  })
}

const unled = (entries: ReadonlyArray<Entry>): ReadonlyArray<Violation> => {
  const calm = entries.findIndex(({ event }) => event._tag === "FaultsEnded")
  const ended = entries[calm]
  if (ended?.event._tag !== "FaultsEnded") return []
  const { at } = ended
  const { leaderWithin } = ended.event
  const leading = new Set<string | undefined>()
  const found: Array<Violation> = []
  let ledAt: number | undefined
  for (const [position, { at: now, candidate = "", event, process }] of entries.entries()) {
    if (event._tag === "AllClosing") break
    if (event._tag === "TermBegan") leading.add(process)
    if (event._tag === "TermEnding" || event._tag === "Crashed" || event._tag === "Closed") leading.delete(process)
    if (position >= calm && leading.size > 0) ledAt ??= now
    if (
      event._tag === "TermEnding" &&
      now > at + leaderWithin &&
      event.end !== "Resigned" &&
      event.end !== "Shutdown"
    ) {
      found.push({
        invariant: "I3",
        at: now,
        what: `${candidate} lost its leadership (${event.end}) without any fault`
      })
    }
  }
  if (ledAt === undefined || ledAt > at + leaderWithin) {
    const when = ledAt === undefined ? "nobody led" : `somebody led only after ${millis(ledAt - at)}`
    const what = `after the last fault ${when}, where ${millis(leaderWithin)} are allowed`
    found.push({ invariant: "I3", at: at + leaderWithin, what })
  }
  return found
}

const releasedTooEarly = (entries: ReadonlyArray<Entry>, work: ReadonlyArray<Span>): ReadonlyArray<Violation> =>
  entries.flatMap(({ at, candidate = "", event, process }, position) => {
    if (event._tag !== "Released") return []
    const found: Array<Violation> = []
    const point: Point = { at, position }
    const running = work.find(
      (it) => it.process === process && before(it.startedAt, point) && (it.isOpen || before(point, it.endedAt))
    )
    if (running !== undefined) {
      found.push({
        invariant: "I4",
        at,
        what: `${candidate} released the lock while the work of ${describe(running)} ran`
      })
    }
    if (event.over !== process) {
      const what = `${candidate} released a lock that ${event.over ?? "nobody"} held`
      found.push({ invariant: "I4", at, what })
    }
    return found
  })

const leftBehind = (entries: ReadonlyArray<Entry>, work: ReadonlyArray<Span>): ReadonlyArray<Violation> =>
  entries.flatMap(({ at, candidate = "", event, process }, position) => {
    if (event._tag !== "Closed") return []
    const found: Array<Violation> = []
    if (event.leftovers > 0) {
      const what = `${candidate} has closed and left ${event.leftovers} timers, requests or watches behind`
      found.push({ invariant: "I5", at, what })
    }
    const running = work.find(
      (it) => it.process === process && before(it.startedAt, { at, position }) && before({ at, position }, it.endedAt)
    )
    if (running !== undefined) {
      found.push({ invariant: "I5", at, what: `${candidate} has closed, and the work of ${describe(running)} runs on` })
    }
    const later = entries.slice(position).find((it) => it.process === process && isOwnDoing(it.event._tag))
    if (later !== undefined) {
      const what = `${candidate} has closed, and ${later.event._tag} followed ${millis(later.at - at)} later`
      found.push({ invariant: "I5", at: later.at, what })
    }
    return found
  })

/** At the end of a simulation: who was told to end has ended, and no lease of its remains. */
const notEnded = (entries: ReadonlyArray<Entry>): ReadonlyArray<Violation> => {
  const end = entries.find(({ event }) => event._tag === "Ended")
  if (end === undefined) return []
  const closing = new Map<string | undefined, Entry>()
  const releases = new Set<string | undefined>()
  let holder: Entry | undefined
  for (const entry of entries) {
    const { event, process } = entry
    if (event._tag === "Started" && event.releases) releases.add(process)
    if (event._tag === "Closing") closing.set(process, entry)
    if (event._tag === "Closed" || event._tag === "Crashed") closing.delete(process)
    if (event._tag === "Took") holder = entry
    if (event._tag === "Released") holder = undefined
  }
  const found = [...closing.values()].map(({ at, candidate = "" }): Violation => {
    const what = `${candidate} was told to end at ${seconds(at)} and has not ended ${millis(end.at - at)} later`
    return { invariant: "I5", at: end.at, what }
  })
  const hasClosed = entries.some(({ event, process }) => event._tag === "Closed" && process === holder?.process)
  const curtain = entries.findIndex(({ event }) => event._tag === "AllClosing")
  const closedCalmly = entries.some(
    ({ event, process }, position) => position > curtain && event._tag === "Closing" && process === holder?.process
  )
  if (holder !== undefined && hasClosed && closedCalmly && releases.has(holder.process)) {
    found.push({ invariant: "I5", at: end.at, what: `${holder.candidate} has closed and not given back the lock` })
  }
  return found
}

const isOwnDoing = (tag: Entry["event"]["_tag"]): boolean =>
  tag === "WorkStarted" || tag === "GuardStarted" || tag === "TermBegan" || tag === "Granted"

const describe = ({ candidate, token }: { readonly candidate: string; readonly token: bigint }): string =>
  `${candidate} (token ${token})`

export const seconds = (at: number): string => `${(at / 1000).toFixed(3)} s`

const millis = (duration: number): string => `${Math.round(duration * 1000) / 1000} ms`
