/**
 * The five fields of a lock's record, as every kind of object spells them: who holds it, for how long, since when, when
 * renewed, and how often it changed hands.
 *
 * Reading takes every shape that a peer can leave behind, so that none wedges the election: what is missing, null or
 * senseless reads as free or expired. Writing refuses what an object cannot hold instead of cutting it.
 */
import { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export const maybe = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

/** The fields that are spelled alike everywhere. */
export const spelling = {
  holderIdentity: maybe(Schema.String),
  leaseDurationSeconds: maybe(Schema.Finite),
  acquireTime: maybe(Schema.String),
  renewTime: maybe(Schema.String)
}

/** As they are stored; times as texts. */
export interface Stored {
  readonly holderIdentity?: string | null
  readonly leaseDurationSeconds?: number | null
  readonly acquireTime?: string | null
  readonly renewTime?: string | null
  readonly transitions?: number | null | undefined
}

/** What an object can hold; times as RFC 3339 with three fraction digits. */
export interface Writable {
  readonly holderIdentity: string
  readonly leaseDurationSeconds: number
  readonly acquireTime: string
  readonly renewTime: string
  readonly transitions: number
}

export const read = (stored: Stored): Omit<LeaseLock.LeaseRecord, "incarnation" | "address"> => ({
  holder: Option.fromNullishOr(stored.holderIdentity || undefined),
  // A holder that says for how long in a way that makes no sense holds for no time: it can be taken over.
  leaseDuration: Duration.seconds(Math.max(0, stored.leaseDurationSeconds ?? 0)),
  acquiredAt: readTime(stored.acquireTime),
  renewedAt: readTime(stored.renewTime),
  transitions: Math.max(0, Math.trunc(stored.transitions ?? 0))
})

const epoch = DateTime.makeUnsafe(0)
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i

// Expiry is measured by the observer's own clock, never by these times: one that cannot be read does no harm.
export const readTime = (text: string | null | undefined): DateTime.Utc =>
  text && rfc3339.test(text) ? Option.getOrElse(DateTime.make(text), () => epoch) : epoch

const greatestInt32 = 2 ** 31 - 1

/** `kind` is what refuses, as `Lease`. */
export const write = (kind: string, record: LeaseLock.LeaseRecord): Result.Result<Writable, LeaseLock.Malformed> => {
  const seconds = Duration.toSeconds(record.leaseDuration)
  const acquireTime = writeTime(record.acquiredAt)
  const renewTime = writeTime(record.renewedAt)
  const violations = [
    isWithin(seconds, 1)
      ? []
      : [`leaseDuration ${sayDuration(record.leaseDuration)} must be 1 to ${greatestInt32} whole seconds`],
    Number.isInteger(record.transitions) && record.transitions >= 0
      ? []
      : [`transitions ${record.transitions} must be a whole number from 0 on`],
    Option.contains(record.holder, "") ? [`holder "" must not be empty: an empty one means released`] : [],
    record.address?.includes(" ") ? [`address ${JSON.stringify(record.address)} must not contain a space`] : [],
    acquireTime === undefined ? ["acquiredAt must be a time in the years 0 to 9999"] : [],
    renewTime === undefined ? ["renewedAt must be a time in the years 0 to 9999"] : []
  ].flat()
  return violations.length > 0 || acquireTime === undefined || renewTime === undefined
    ? Result.fail(new LeaseLock.Malformed({ detail: `${article(kind)} cannot hold this: ${violations.join("; ")}` }))
    : Result.succeed({
        // Empty and not null, as client-go does: older peers do not expect null.
        holderIdentity: Option.getOrElse(record.holder, () => ""),
        leaseDurationSeconds: seconds,
        acquireTime,
        renewTime,
        // Whoever set it that high must not keep everybody from taking the lock.
        transitions: Math.min(record.transitions, greatestInt32)
      })
}

const article = (kind: string): string => (/^[AEIOU]/.test(kind) ? `an ${kind}` : `a ${kind}`)

const isWithin = (value: number, least: number): boolean =>
  Number.isInteger(value) && value >= least && value <= greatestInt32

const sayDuration = (duration: Duration.Duration): string =>
  Duration.isFinite(duration) ? Duration.format(duration) : "Infinity"

const writeTime = (time: DateTime.Utc): string | undefined => {
  const text = DateTime.formatIso(time)
  return /^\d{4}-/.test(text) ? text : undefined
}
