/**
 * What two locks that are held together say as one. Whoever holds both leads; else whoever may be working under either of
 * them is shown as the holder, so that nobody else takes the pair.
 *
 * - Both held by one process: its record, with the later times, and the greater duration and transitions.
 * - One held, the other free or never there: that holder's record. Its candidate got only half of the pair, or gave only
 *   half back (it takes or releases the rest at once), or elects on the one kind alone (it has the lock to itself).
 * - All else is in dispute: two holders; or one half was deleted, or emptied by somebody else, so that another process may
 *   work under it. Such a record is foreign to everyone, also to the two who dispute it. It can be taken once neither half
 *   has changed for the longer of the durations. (client-go says `leaderelection.k8s.io/unknown` then.)
 * - Nobody holds either: free; or absent, if one of them was deleted.
 *
 * A candidate waits anew at each change of the record that it sees, so each change of either half has to show. It does in
 * the times of a record with an incarnation, since one process writes both halves, with times that only grow. Where there
 * is none, two clocks may have written them, and an old one would not show beneath the later: there the renewals are part
 * of the `uid`. Nobody of ours holds such a record, so nobody mistakes that for another life of its lock.
 *
 * The `uid` names the lives of the halves that are held. So a holder that loses one of them learns that the lock it took is
 * no more, even if the other half still says that it is the holder.
 */
import type { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** One of the two locks, and the last record that this process has seen in it, were it deleted since. */
export interface Half {
  readonly observation: LeaseLock.Observation
  readonly last: LeaseLock.LeaseRecord | undefined
}

export interface Halves {
  readonly primary: Half
  readonly secondary: Half
}

export const unknownHolder = "leaderelection.k8s.io/unknown"

export const combine = (halves: Halves): LeaseLock.Observation => {
  const { primary, secondary } = halves
  const record = combineRecords(halves)
  return {
    record: Option.fromUndefinedOr(record),
    version: `${primary.observation.version}/${secondary.observation.version}`,
    fence: greatestFence(halves),
    ...(record === undefined ? {} : { uid: `${lifeOf(primary, record)}/${lifeOf(secondary, record)}` })
  }
}

export const greatestFence = ({ primary, secondary }: Halves): bigint =>
  primary.observation.fence > secondary.observation.fence ? primary.observation.fence : secondary.observation.fence

/** Whether the halves say the same, as after a write of both. */
export const isWhole = ({ primary, secondary }: Halves): boolean => {
  const [a, b] = [recordOf(primary), recordOf(secondary)]
  if (a === undefined || b === undefined || Option.isNone(a.holder) || Option.isNone(b.holder)) {
    return heldBy(primary) === undefined && heldBy(secondary) === undefined
  }
  return isOneProcess(a, b) && isOneRenewal(a, b)
}

const isOneRenewal = (a: LeaseLock.LeaseRecord, b: LeaseLock.LeaseRecord): boolean => {
  const [first, second] = [DateTime.toEpochMillis(a.renewedAt), DateTime.toEpochMillis(b.renewedAt)]
  // client-go, which has no incarnation, writes one of them in whole seconds.
  const isCut = a.incarnation === undefined && (first % 1000 === 0 || second % 1000 === 0)
  return first === second || (isCut && Math.floor(first / 1000) === Math.floor(second / 1000))
}

const combineRecords = ({ primary, secondary }: Halves): LeaseLock.LeaseRecord | undefined => {
  const [a, b] = [recordOf(primary), recordOf(secondary)]
  if (heldBy(primary) !== undefined && heldBy(secondary) !== undefined && a !== undefined && b !== undefined) {
    return isOneProcess(a, b) || isOneIdentity(a, b) ? together(a, b) : disputed(primary, secondary)
  }
  if (heldBy(primary) !== undefined && a !== undefined) return heldInPart(a, primary, secondary, secondary)
  if (heldBy(secondary) !== undefined && b !== undefined) return heldInPart(b, primary, secondary, primary)
  if (a !== undefined && b !== undefined) return together(a, b)
  // A half that never was is as good as free. One that was deleted may have a holder that still works.
  return primary.last === undefined ? b : secondary.last === undefined ? a : undefined
}

const heldInPart = (
  held: LeaseLock.LeaseRecord,
  primary: Half,
  secondary: Half,
  other: Half
): LeaseLock.LeaseRecord => {
  const free = recordOf(other)
  const isDeleted = free === undefined && other.last !== undefined
  // Ours take it out when they release: where one is left, somebody else emptied this half under its holder.
  const isEmptied = free?.incarnation !== undefined && free.incarnation !== held.incarnation
  if (isDeleted || isEmptied) return disputed(primary, secondary)
  return { ...held, transitions: Math.max(held.transitions, free?.transitions ?? 0) }
}

/** Two records of one holder, or of none. */
const together = (a: LeaseLock.LeaseRecord, b: LeaseLock.LeaseRecord): LeaseLock.LeaseRecord => {
  const address = b.address ?? a.address
  // Of two free halves it is enough that one was emptied. Of two held ones both must be of the one process.
  const incarnation = Option.isNone(a.holder)
    ? (a.incarnation ?? b.incarnation)
    : isOneProcess(a, b)
      ? a.incarnation
      : undefined
  return {
    holder: a.holder,
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(address === undefined ? {} : { address }),
    ...greater([a, b])
  }
}

const disputed = (primary: Half, secondary: Half): LeaseLock.LeaseRecord => ({
  // The names make it readable, and a new one in the dispute a change.
  holder: Option.some(`${unknownHolder} (${heldBy(primary) ?? "nobody"}, ${heldBy(secondary) ?? "nobody"})`),
  ...greater([primary, secondary].flatMap((half) => recordOf(half) ?? half.last ?? []))
})

const greater = (records: ReadonlyArray<LeaseLock.LeaseRecord>) => ({
  leaseDuration: records.map((it) => it.leaseDuration).reduce(Duration.max),
  acquiredAt: records.map((it) => it.acquiredAt).reduce(DateTime.max),
  renewedAt: records.map((it) => it.renewedAt).reduce(DateTime.max),
  transitions: Math.max(...records.map((it) => it.transitions))
})

const lifeOf = (half: Half, combined: LeaseLock.LeaseRecord): string => {
  const record = recordOf(half)
  if (record === undefined || heldBy(half) === undefined) return "-"
  const renewal = combined.incarnation === undefined ? `@${DateTime.formatIso(record.renewedAt)}` : ""
  return `${half.observation.uid}${renewal}`
}

const recordOf = ({ observation }: Half): LeaseLock.LeaseRecord | undefined => Option.getOrUndefined(observation.record)

const heldBy = (half: Half): string | undefined => {
  const record = recordOf(half)
  return record === undefined ? undefined : Option.getOrUndefined(record.holder)
}

const isOneIdentity = (a: LeaseLock.LeaseRecord, b: LeaseLock.LeaseRecord): boolean =>
  Option.getOrUndefined(a.holder) === Option.getOrUndefined(b.holder)

/** Two processes of one identity are told apart by their incarnations; one without any is not known to be either. */
const isOneProcess = (a: LeaseLock.LeaseRecord, b: LeaseLock.LeaseRecord): boolean =>
  isOneIdentity(a, b) && a.incarnation === b.incarnation
