/**
 * Two locks that are held together: both or not leading. Candidates that know only the one, or only the other, are kept
 * out by the half that they know.
 *
 * Every write goes to the primary first, which puts the candidates for the pair in order, and then to the secondary, each
 * against the half that was seen of it. A write of half the pair is no success, and the next read shows what became of it.
 * A claim that is refused the secondary, because another one was faster or the Role does not allow it, gives the primary
 * back, so that the pair is not left in dispute. A renewal does not: its holder may still work.
 *
 * Fences are the greater of the two, which is right if both locks count together. Every write checks that they do: each
 * half must come out greater than all before it.
 */
import { LeaseLock } from "@effect-leader/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as MultiChanges from "./MultiChanges.ts"
import { combine, greatestFence, type Half, type Halves } from "./MultiRecord.ts"

type Lock = LeaseLock.LeaseLock["Service"]

export interface Options {
  readonly name: string
  readonly primary: Lock
  readonly secondary: Lock
  /** What to call the two in messages. */
  readonly kinds: { readonly primary: string; readonly secondary: string }
}

export const make = ({ kinds, name, ...locks }: Options): Lock => {
  const fail = (reason: LeaseLock.LockError["reason"]) => new LeaseLock.LockError({ lock: name, reason })
  const known = new WeakMap<LeaseLock.Observation, Halves>()
  const newest: { primary?: LeaseLock.Observation; secondary?: LeaseLock.Observation } = {}
  // A claim under way leaves a pair that is half its own, which is no news of anybody else.
  const claims = { underWay: 0, ended: Latch.makeUnsafe(true) }
  let own: LeaseLock.LeaseRecord | undefined

  const see = (side: keyof Halves, observation: LeaseLock.Observation): Half => {
    const before = newest[side]
    const isLast = Option.isSome(observation.record) && (before === undefined || observation.fence >= before.fence)
    if (isLast) newest[side] = observation
    return { observation, last: Option.getOrUndefined(newest[side]?.record ?? Option.none()) }
  }

  const observe = (halves: Halves): LeaseLock.Observation => {
    const observation = combine(halves)
    known.set(observation, halves)
    return observation
  }

  // In the opposite order of a write: if one comes between, its second half is still to come, and is news.
  const read = Effect.gen(function* () {
    const secondary = see("secondary", yield* locks.secondary.read)
    return observe({ primary: see("primary", yield* locks.primary.read), secondary })
  })

  /** The halves that `expected` was made of: known, or read again if somebody else made the observation. */
  const halvesOf = Effect.fnUntraced(function* (expected: LeaseLock.Observation) {
    const halves = known.get(expected)
    if (halves !== undefined) return halves
    const current = yield* read
    const found = known.get(current)
    return found === undefined || current.version !== expected.version || current.uid !== expected.uid
      ? yield* fail(new LeaseLock.Conflict({ detail: `version ${expected.version} is not the current one` }))
      : found
  })

  /** A token that does not grow would let an old leader write after a new one: nobody leads instead. */
  const checkOrder = (written: LeaseLock.Observation, after: bigint, kind: string) =>
    written.fence > after
      ? Effect.void
      : fail(
          new LeaseLock.Malformed({
            detail:
              `version ${written.fence} of what was just written to ${kind} should be greater than ${after}, which was there ` +
              `before: ${kinds.primary} and ${kinds.secondary} do not count together. Either the API server keeps them in ` +
              `different etcds (--etcd-servers-overrides): then move with one kind at a time, while nobody leads. Or its ` +
              `data was restored from a backup: then this passes, at the latest when this process starts again`
          })
        )

  const whileClaiming = <A, E>(claim: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      claims.underWay += 1
      claims.ended.closeUnsafe()
      return claim
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          claims.underWay -= 1
          if (claims.underWay === 0) claims.ended.openUnsafe()
        })
      )
    )

  const write = Effect.fnUntraced(function* (expected: LeaseLock.Observation, next: LeaseLock.LeaseRecord) {
    const halves = yield* halvesOf(expected)
    if (Option.isSome(next.holder)) own = next
    return yield* isClaim(halves.primary, next) ? whileClaiming(writeBoth(halves, next)) : writeBoth(halves, next)
  })

  const writeBoth = Effect.fnUntraced(function* (halves: Halves, next: LeaseLock.LeaseRecord) {
    const primary = yield* locks.primary.write(halves.primary.observation, next)
    yield* checkOrder(primary, greatestFence(halves), kinds.primary)
    const secondary = yield* locks.secondary
      .write(halves.secondary.observation, next)
      .pipe(
        Effect.tapError(({ reason }) =>
          reason._tag !== "Unavailable" && isClaim(halves.primary, next)
            ? Effect.ignore(locks.primary.write(primary, givenBack(next)))
            : Effect.void
        )
      )
    yield* checkOrder(secondary, primary.fence, kinds.secondary)
    return observe({ primary: see("primary", primary), secondary: see("secondary", secondary) })
  })

  const follow = (after: Halves) =>
    MultiChanges.follow(
      {
        changes: (side, from) => locks[side].changes(from),
        see,
        observe,
        fail,
        noClaim: claims.ended.await,
        isOwn: (record) => own?.incarnation !== undefined && isBySame(own, record)
      },
      after
    )

  /** What somebody else observed is read again first. */
  const readAndFollow = (after: LeaseLock.Observation) =>
    Stream.unwrap(
      Effect.map(read, (now) =>
        Stream.concat(now.version === after.version ? Stream.empty : Stream.make(now), changes(now))
      )
    )

  const changes = (after: LeaseLock.Observation): Stream.Stream<LeaseLock.Observation, LeaseLock.LockError> =>
    Stream.suspend(() => {
      const halves = known.get(after)
      return halves === undefined ? readAndFollow(after) : follow(halves)
    })

  return {
    name,
    ...(locks.primary.durationUnit === undefined ? {} : { durationUnit: locks.primary.durationUnit }),
    read,
    write,
    changes
  }
}

/** Whether it takes the primary from somebody else, or from nobody. */
const isClaim = (before: Half, next: LeaseLock.LeaseRecord): boolean =>
  Option.isSome(next.holder) && !Option.exists(before.observation.record, (it) => isBySame(next, it))

/** Others keep what they do not know of an object, so that an incarnation beside another identity means nothing. */
const isBySame = (own: LeaseLock.LeaseRecord, other: LeaseLock.LeaseRecord): boolean =>
  other.incarnation === own.incarnation && Option.getOrUndefined(other.holder) === Option.getOrUndefined(own.holder)

const givenBack = ({ acquiredAt, renewedAt, transitions }: LeaseLock.LeaseRecord): LeaseLock.LeaseRecord => ({
  holder: Option.none(),
  leaseDuration: Duration.seconds(1),
  acquiredAt,
  renewedAt,
  transitions
})
