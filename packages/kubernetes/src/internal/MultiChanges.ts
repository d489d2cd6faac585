/**
 * What happens to either of two locks that are held together, as one sequence in the order of their fences.
 *
 * A write of both is two notices, and what the first one leaves is a pair that nobody wrote. So a notice that leaves the
 * halves unlike is held back for the other's, for up to a second, and for as long as an own claim is under way. Not so that
 * somebody else holds half of what was ours: our work ends at once. Both streams have connections of their own, and the
 * notice of the earlier write may come last: told by itself it would look older than what was told before. Should it come
 * that late, the changes fail, and the election reads again. Versions may be skipped, but the last one is always told.
 */
import { LeaseLock } from "@effect-leader/core"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { combine, isWhole, type Half, type Halves } from "./MultiRecord.ts"

type Side = keyof Halves

export interface Followed {
  /** The changes of one of the two. */
  readonly changes: (
    side: Side,
    after: LeaseLock.Observation
  ) => Stream.Stream<LeaseLock.Observation, LeaseLock.LockError>
  readonly see: (side: Side, observation: LeaseLock.Observation) => Half
  /** Keeps what an observation was made of. */
  readonly observe: (halves: Halves) => LeaseLock.Observation
  readonly fail: (reason: LeaseLock.LockError["reason"]) => LeaseLock.LockError
  /** Returns when this process is not about to take both. */
  readonly noClaim: Effect.Effect<void>
  /** Whether this process wrote it. */
  readonly isOwn: (record: LeaseLock.LeaseRecord) => boolean
}

const longestWait = "1 second"

export const follow = (
  { changes, fail, isOwn, noClaim, observe, see }: Followed,
  after: Halves
): Stream.Stream<LeaseLock.Observation, LeaseLock.LockError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      let halves = after
      let told = combine(after)
      // That something changed; what did is in `halves`, so that a slow reader keeps nothing waiting and skips versions.
      const signal = yield* Queue.sliding<void, LeaseLock.LockError | Cause.Done>(1)

      const listen = (side: Side) =>
        changes(side, after[side].observation).pipe(
          Stream.runForEach((observation) =>
            Effect.suspend(() => {
              if (!isNews(halves[side].observation, observation)) return Effect.void
              halves = { ...halves, [side]: see(side, observation) }
              return Queue.offer(signal, undefined)
            })
          ),
          Effect.exit,
          Effect.flatMap((exit) => (Exit.isSuccess(exit) ? Queue.end(signal) : Queue.failCause(signal, exit.cause)))
        )
      yield* Effect.forkScoped(listen("primary"), { startImmediately: true })
      yield* Effect.forkScoped(listen("secondary"), { startImmediately: true })

      const isTakenFromUs = () =>
        Option.exists(told.record, isOwn) && (isAnothers(halves.primary) || isAnothers(halves.secondary))
      const isAnothers = ({ observation }: Half) =>
        Option.exists(observation.record, (record) => Option.isSome(record.holder) && !isOwn(record))
      const whole = Effect.gen(function* () {
        while (!isWhole(halves) && !isTakenFromUs()) yield* Queue.take(signal)
      })

      const next = Effect.gen(function* () {
        yield* Queue.take(signal)
        yield* Effect.timeoutOption(whole, longestWait)
        yield* noClaim
        const observation = observe(halves)
        if (observation.version === told.version) return Option.none()
        const isLate = observation.fence <= told.fence && !isDeletion(told, observation)
        if (isLate) {
          const detail = `a notice of ${observation.version} came later than one of ${told.version}: read again`
          return yield* fail(new LeaseLock.Unavailable({ detail }))
        }
        told = observation
        return Option.some(observation)
      })

      return Stream.fromEffectRepeat(next).pipe(
        Stream.filter(Option.isSome),
        Stream.map(({ value }) => value)
      )
    })
  )

/** A watch may repeat what it told, and begin with what was before. */
const isNews = (before: LeaseLock.Observation, now: LeaseLock.Observation): boolean =>
  now.fence > before.fence || (now.fence === before.fence && isDeletion(before, now))

/** Where the time of a deletion is not known, its fence is that of what was deleted. */
const isDeletion = (before: LeaseLock.Observation, now: LeaseLock.Observation): boolean =>
  Option.isNone(now.record) && Option.isSome(before.record)
