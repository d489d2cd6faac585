/**
 * Time as the decisions see it: nanoseconds of two clocks, read together. Durations are nanoseconds as bigint.
 */

export interface Instant {
  /** Never steps, but stands still while the machine is suspended. */
  readonly monotonic: bigint
  /** Since 1970. Steps when somebody sets the clock, but goes on through a suspension. */
  readonly wall: bigint
}

/** The instant of one decision, with a fresh random number in [0, 1) for the jitter that the decision may need. */
export interface Moment extends Instant {
  readonly chance: number
}

/** How much time has certainly not been missed since `since`: the greater reading of both clocks (rule 8 of the holder). */
export const elapsed = (since: Instant, now: Instant): bigint =>
  max(now.monotonic - since.monotonic, now.wall - since.wall)

/** The same instant, moved back on the monotonic clock by what that missed: timers go by it. */
export const rebased = (since: Instant, now: Instant): Instant => ({
  monotonic: now.monotonic - elapsed(since, now),
  wall: since.wall
})

export const millisecond = 1_000_000n

export const max = (...values: readonly [bigint, ...Array<bigint>]): bigint => values.reduce((a, b) => (a > b ? a : b))

export const min = (...values: readonly [bigint, ...Array<bigint>]): bigint => values.reduce((a, b) => (a < b ? a : b))

export const share = (duration: bigint, part: number): bigint => BigInt(Math.round(Number(duration) * part))

/** x0.8 to x1.2, so that many candidates do not act in step. */
export const jittered = (duration: bigint, now: Moment): bigint => share(duration, 0.8 + 0.4 * now.chance)
