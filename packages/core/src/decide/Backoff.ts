/**
 * How long to wait before trying again, for every kind of trouble.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { LockError } from "../LeaseLock.ts"
import type { Settings } from "../Settings.ts"
import { jittered, max, min, millisecond } from "./Instant.ts"
import type { Moment } from "./Instant.ts"

/** Grows from an eighth of the retry period to the whole of it. */
export const repeated = (settings: Settings, times: number, now: Moment): bigint =>
  jittered(min(settings.retryPeriod, doubled(settings.retryPeriod / 8n, times)), now)

/** The same, and never sooner than the server asks. */
export const transient = (settings: Settings, error: LockError, times: number, now: Moment): bigint =>
  max(repeated(settings, times, now), askedFor(settings, error))

/** Grows from the retry period to sixteen of them: nothing changes until somebody changes it. */
export const permanent = (settings: Settings, times: number, now: Moment): bigint =>
  jittered(min(longest(settings), doubled(settings.retryPeriod, times)), now)

export const after = (settings: Settings, error: LockError, times: number, now: Moment): bigint =>
  error.isTransient ? transient(settings, error, times, now) : permanent(settings, times, now)

/** The window of a contest (protocol.md, "Contention"). */
export const smallestSpread = 4n * millisecond
const largestSpread = 250n * millisecond
export const widened = (spread: bigint): bigint => min(largestSpread, spread * 2n)
export const narrowed = (spread: bigint): bigint => max(smallestSpread, spread / 2n)

/** How long the server asks to be left alone, as far as that is sensible. */
export const askedFor = (settings: Settings, error: LockError | undefined): bigint =>
  error?.reason._tag === "Unavailable" && error.reason.retryAfter !== undefined
    ? min(
        Option.getOrElse(Duration.toNanos(error.reason.retryAfter), () => 0n),
        longest(settings)
      )
    : 0n

const longest = (settings: Settings): bigint => settings.retryPeriod * 16n

const doubled = (start: bigint, times: number): bigint => start * 2n ** BigInt(Math.min(times - 1, 16))
