/**
 * What a candidate knows of the lock, and since when (rule 1 of the follower).
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { LeaseRecord, Observation } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import { max, millisecond } from "./Instant.ts"
import type { Moment } from "./Instant.ts"
import type { Request } from "./State.ts"

export interface Seen {
  readonly observation: Observation
  /** The monotonic instant at which this candidate learned of the record, not of the version: labels may change. */
  readonly observedAt: bigint
  /** The monotonic instant until which the last holder seen may still be working. */
  readonly heldUntil: bigint
}

/**
 * How a record stands to this candidate. `Namesake`: the own identity with another incarnation, so another process,
 * perhaps an earlier one that still runs. An incarnation beside another identity means nothing: client-go keeps
 * annotations that it does not know.
 */
export type Standing = "Absent" | "Free" | "Own" | "Namesake" | "Foreign"

export const standing = (settings: Settings, observation: Observation): Standing => {
  if (Option.isNone(observation.record)) return "Absent"
  const record = observation.record.value
  const holder = Option.getOrElse(record.holder, () => "")
  if (holder === "") return "Free"
  if (holder !== settings.identity) return "Foreign"
  return record.incarnation === settings.incarnation ? "Own" : "Namesake"
}

/** Where a notice says less than what is known already, and is ignored (behaviour case 48). */
export const isNews = (seen: Seen | undefined, observation: Observation): boolean => {
  if (seen === undefined || observation.fence > seen.observation.fence) return true
  // An absent register has no fence of its own.
  const isDeletion = Option.isNone(observation.record) && Option.isSome(seen.observation.record)
  return isDeletion && observation.fence === seen.observation.fence
}

export const observe = (
  settings: Settings,
  seen: Seen | undefined,
  observation: Observation,
  request: Request | undefined,
  now: Moment
): Seen => {
  if (seen !== undefined && sameRecord(seen.observation, observation)) return { ...seen, observation }
  const observedAt = now.monotonic
  switch (standing(settings, observation)) {
    case "Foreign":
    case "Namesake": {
      const record = Option.getOrThrow(observation.record)
      const overdue = seen === undefined && isOverdue(settings, record, now)
      return { observation, observedAt, heldUntil: now.monotonic + (overdue ? 0n : leaseNanos(record)) }
    }
    case "Absent":
      return { observation, observedAt, heldUntil: now.monotonic + restOfDeleted(settings, seen) }
    case "Free":
      return { observation, observedAt, heldUntil: now.monotonic + restOfEmptied(settings, seen, observation) }
    case "Own": {
      const rest = ownedFrom(settings, seen, observation, request, now)
      return { observation, observedAt, heldUntil: max(now.monotonic, rest) }
    }
  }
}

/**
 * A write against absence compares with no version: it may arrive after a lock that others held was deleted. One that was
 * made against the very record seen last took over from that.
 */
const ownedFrom = (
  settings: Settings,
  seen: Seen | undefined,
  { uid }: Observation,
  request: Request | undefined,
  now: Moment
): bigint => {
  if (seen === undefined || seen.observation.uid === uid) return now.monotonic
  const isTakeover = request?.kind === "Write" && request.against === seen.observation.version
  if (isTakeover && Option.isSome(seen.observation.record)) return now.monotonic
  const former = standing(settings, seen.observation)
  return former === "Absent" || former === "Own" ? seen.heldUntil : now.monotonic + restOfDeleted(settings, seen)
}

/**
 * Who deletes a lock does not stop its holder, and there may have been one that this candidate never saw: a whole lease
 * is left to it, but for a lock that was never seen to exist. (A holder itself knows better: `heldByNobody`.)
 */
const restOfDeleted = (settings: Settings, seen: Seen | undefined): bigint => {
  if (seen === undefined || Option.isNone(seen.observation.record)) return 0n
  const former = standing(settings, seen.observation)
  return former === "Foreign" || former === "Namesake"
    ? leaseNanos(seen.observation.record.value)
    : settings.leaseDuration
}

/**
 * A candidate of this library takes its incarnation out of the record when it releases. Where one is left without a
 * holder, somebody else emptied the lock (client-go does, late in its own release), and the holder may still work.
 */
const restOfEmptied = (settings: Settings, seen: Seen | undefined, { record }: Observation): bigint => {
  if (!Option.exists(record, (it) => it.incarnation !== undefined)) return 0n
  const former = Option.match(seen?.observation.record ?? Option.none(), { onNone: () => 0n, onSome: leaseNanos })
  return max(former, Option.match(record, { onNone: () => 0n, onSome: leaseNanos }), settings.leaseDuration)
}

/** What a holder knows that learns of it while its lease is valid: nobody else can have had the lock. */
export const heldByNobody = (seen: Seen, now: Moment): Seen => ({ ...seen, heldUntil: now.monotonic })

/** `maxClockSkew`: the record had run out by its own time before this candidate even started. */
const isOverdue = (settings: Settings, record: LeaseRecord, now: Moment): boolean =>
  settings.maxClockSkew !== undefined &&
  BigInt(DateTime.toEpochMillis(record.renewedAt)) * millisecond + leaseNanos(record) + settings.maxClockSkew < now.wall

const aCentury = 100n * 365n * 86_400n * 1_000_000_000n

export const leaseNanos = (record: LeaseRecord): bigint =>
  max(
    0n,
    Option.getOrElse(Duration.toNanos(record.leaseDuration), () => aCentury)
  )

const sameRecord = (a: Observation, b: Observation): boolean => {
  if (a.uid !== b.uid) return false
  if (Option.isNone(a.record) || Option.isNone(b.record)) return Option.isNone(a.record) && Option.isNone(b.record)
  const left = a.record.value
  const right = b.record.value
  return (
    Option.getOrElse(left.holder, () => "") === Option.getOrElse(right.holder, () => "") &&
    left.incarnation === right.incarnation &&
    left.address === right.address &&
    Duration.equals(left.leaseDuration, right.leaseDuration) &&
    DateTime.toEpochMillis(left.acquiredAt) === DateTime.toEpochMillis(right.acquiredAt) &&
    DateTime.toEpochMillis(left.renewedAt) === DateTime.toEpochMillis(right.renewedAt) &&
    left.transitions === right.transitions
  )
}

/**
 * Of a renewal: later than the former one, even where the wall clock was set back. An equal record is no write to
 * Kubernetes, and one that was there before is no renewal to a follower that missed those between.
 */
export const renewedAt = (former: Option.Option<LeaseRecord>, now: Moment): DateTime.Utc => {
  const wall = Number(now.wall / millisecond)
  const before = Option.match(former, { onNone: () => wall - 1, onSome: (it) => DateTime.toEpochMillis(it.renewedAt) })
  // Whoever wrote the year 9999 into the record does not keep us there.
  const isAbsurd = before - wall > Number(aCentury / millisecond)
  return DateTime.makeUnsafe(isAbsurd ? wall : Math.max(wall, before + 1))
}
