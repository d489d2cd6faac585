/**
 * A candidate's own view of time, over the clock of the test: a wall clock that is wrong and can be set, a rate that
 * drifts, a machine that is suspended, a process that stands still. Provide it around one candidate, and that candidate
 * lives in its own time while the others live in theirs.
 *
 * What a clock can tell is what a real one could: nothing that waits for it goes on before the candidate runs again.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/**
 * How a candidate's clocks differ from the true ones.
 *
 * @since 0.1.0
 */
export interface Options {
  /** By how much the wall clock is ahead, in milliseconds; behind if negative. Default 0. */
  readonly offset?: number
  /** How many seconds pass here in a true second. Default 1. */
  readonly rate?: number
}

/**
 * One candidate's clocks, and what can happen to them.
 *
 * **Example** (a process that is stopped for half a minute, like one that swaps)
 *
 * ```ts
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 * import { CandidateClock } from "@effect-leader/testkit"
 * import { Clock, Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * export const program = Effect.gen(function* () {
 *   const time = yield* CandidateClock.make({ rate: 1.005 })
 *   yield* LeaderElection.whileLeading(Effect.never).pipe(
 *     Effect.provide(LeaderElection.layer({ identity: "a" })),
 *     Effect.provideService(Clock.Clock, time.clock),
 *     Effect.forkChild
 *   )
 *   yield* TestClock.adjust("5 seconds")
 *   yield* time.freeze
 *   yield* TestClock.adjust("30 seconds")
 *   yield* time.thaw
 * }).pipe(Effect.provide(LeaseLock.layerMemory()))
 * ```
 *
 * @since 0.1.0
 */
export interface CandidateClock {
  /** To be provided around the candidate: `Effect.provideService(Clock.Clock, time.clock)`. */
  readonly clock: Clock.Clock
  /** Somebody sets the wall clock: so many milliseconds forward, or back if negative. */
  readonly setWall: (byMillis: number) => Effect.Effect<void>
  /**
   * The process stands still (SIGSTOP, swapping, a blocked event loop): both clocks go on, and no timer fires. What is
   * due meanwhile fires at `thaw`, in order.
   */
  readonly freeze: Effect.Effect<void>
  /** The machine sleeps: the process stands still, and so does the monotonic clock with all timers; the wall goes on. */
  readonly suspend: Effect.Effect<void>
  /** Goes on after `freeze` or `suspend`. */
  readonly thaw: Effect.Effect<void>
  readonly condition: () => Condition
  /** How many timers wait for this clock. Zero when everything of the candidate has ended. */
  readonly timers: () => number
}

/**
 * @since 0.1.0
 */
export type Condition = "Running" | "Frozen" | "Suspended"

/**
 * A candidate's clock over the clock in the context.
 *
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<CandidateClock> =>
  Effect.map(Clock.Clock, (base) => over(base, options))

const over = (base: Clock.Clock, options: Options): CandidateClock => {
  const rate = options.rate ?? 1
  const startedAt = { monotonic: base.monotonicTimeNanosUnsafe(), wall: base.currentTimeMillisUnsafe() }
  const running = Latch.makeUnsafe(true)
  let condition: Condition = "Running"
  let wallOffset = options.offset ?? 0
  /** What the monotonic clock missed in suspensions, and since when it stands. */
  let missed = 0n
  let stoodAt = 0n
  let timers = 0

  const passed = () => BigInt(Math.round(Number(base.monotonicTimeNanosUnsafe() - startedAt.monotonic) * rate))
  const monotonic = () => startedAt.monotonic + (condition === "Suspended" ? stoodAt : passed() - missed)
  const millis = () => startedAt.wall + (base.currentTimeMillisUnsafe() - startedAt.wall) * rate + wallOffset
  const nanos = () => BigInt(Math.round(millis() * 1e6))

  /** A timer counts on the monotonic clock, so one that a suspension delayed sets itself again for the rest. */
  const sleepUntil = (until: bigint): Effect.Effect<void> =>
    Effect.suspend(() => {
      const rest = until - monotonic()
      if (rest <= 0n) return running.await
      const trueMillis = Math.ceil(Number(rest) / rate / 1e3) / 1e3
      return base
        .sleep(Duration.millis(trueMillis))
        .pipe(
          Effect.andThen(running.await),
          Effect.andThen(Effect.suspend(() => (monotonic() >= until ? Effect.void : sleepUntil(until))))
        )
    })
  const sleep = (duration: Duration.Duration): Effect.Effect<void> => {
    const wait = Duration.isFinite(duration)
      ? Effect.suspend(() => sleepUntil(monotonic() + Duration.toNanosUnsafe(duration)))
      : Effect.never
    return Effect.acquireUseRelease(
      Effect.sync(() => (timers += 1)),
      () => wait,
      () => Effect.sync(() => (timers -= 1))
    )
  }

  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep
  }
  bases.set(clock, base)

  const goOn = () => {
    if (condition === "Suspended") missed = passed() - stoodAt
    condition = "Running"
  }
  return {
    clock,
    setWall: (byMillis) =>
      Effect.sync(() => {
        wallOffset += byMillis
      }),
    freeze: Effect.suspend(() => {
      goOn()
      condition = "Frozen"
      return Effect.asVoid(running.close)
    }),
    suspend: Effect.suspend(() => {
      goOn()
      stoodAt = passed() - missed
      condition = "Suspended"
      return Effect.asVoid(running.close)
    }),
    thaw: Effect.suspend(() => {
      goOn()
      return Effect.asVoid(running.open)
    }),
    condition: () => condition,
    timers: () => timers
  }
}

const bases = new WeakMap<Clock.Clock, Clock.Clock>()

/**
 * The clock that the one in the context stands on: true time, in which servers and networks live, whatever candidate
 * asks. The clock itself where it is not a candidate's.
 *
 * @since 0.1.0
 */
export const trueClock: Effect.Effect<Clock.Clock> = Effect.map(Clock.Clock, (clock) => bases.get(clock) ?? clock)

/**
 * Waits until the candidate that runs this is running: an answer that arrives at a process that stands still is not
 * read before that goes on.
 *
 * @since 0.1.0
 */
export const whenRunning: Effect.Effect<void> = Effect.flatMap(Clock.Clock, (clock) =>
  bases.has(clock) ? clock.sleep(Duration.zero) : Effect.void
)
