/**
 * Locks that are wrong on purpose, each in one way, as real ones are: a conformance suite that passes them is worth
 * nothing. Each says which case has to find it, and what that case has to say.
 */
import { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { FaultyLock } from "../../src/index.ts"

type Lock = LeaseLock.LeaseLock["Service"]
type Observation = LeaseLock.Observation
type Register = FaultyLock.Register["Service"]

export interface Broken {
  readonly wrong: string
  /** The case that has to fail. */
  readonly case: string
  /** Part of what it has to say. */
  readonly says: string
  readonly make: (register: Register) => Partial<Lock>
}

const conflict = new LeaseLock.LockError({ lock: "memory", reason: new LeaseLock.Conflict({}) })

const put = (register: Register, record: LeaseLock.LeaseRecord) =>
  Effect.map(register.put(record), () => register.current())

const mapped = (
  { lock }: Register,
  change: (observation: Observation) => Observation
): Pick<Lock, "read" | "write" | "changes"> => ({
  read: Effect.map(lock.read, change),
  write: (expected, next) => Effect.map(lock.write(expected, next), change),
  changes: (after) => Stream.map(lock.changes(after), change)
})

const changing =
  (change: (record: LeaseLock.LeaseRecord) => LeaseLock.LeaseRecord): Broken["make"] =>
  (register) => ({ write: (expected, next) => register.lock.write(expected, change(next)) })

const inSeconds = (time: DateTime.Utc) => DateTime.makeUnsafe(Math.floor(DateTime.toEpochMillis(time) / 1000) * 1000)

const writing: ReadonlyArray<Broken> = [
  {
    wrong: "a read makes what is not there",
    case: "what was never written reads as absent, and reading does not make it",
    says: "read should give no record of what was never written",
    make: (register) => ({
      read: Effect.suspend(() =>
        Option.isSome(register.current().record)
          ? register.lock.read
          : put(register, {
              holder: Option.none(),
              leaseDuration: Duration.zero,
              acquiredAt: DateTime.makeUnsafe(0),
              renewedAt: DateTime.makeUnsafe(0),
              transitions: 0
            })
      )
    })
  },
  {
    wrong: "the first write is not kept",
    case: "the first write against absence wins, and a read gives it as it was answered",
    says: "read should give the first write as it was answered",
    make: ({ current, lock }) => ({
      write: (expected, next) =>
        expected.fence === 0n
          ? Effect.succeed({ record: Option.some(next), version: "1", fence: current().fence + 1n })
          : lock.write(expected, next)
    })
  },
  {
    wrong: "a first write does not look whether it is the first",
    case: "of two first writes against one absence the second conflicts and changes nothing",
    says: "write should conflict against a version that is not the current one",
    make: (register) => ({
      write: (expected, next) =>
        Option.isNone(expected.record) ? put(register, next) : register.lock.write(expected, next)
    })
  },
  {
    wrong: "between the comparison and the first write others come in",
    case: "of 100 first writes at once exactly one wins",
    says: "write should let exactly one of 100 writers at once win, but 100",
    make: (register) => ({
      write: (expected, next) =>
        Option.isSome(register.current().record)
          ? register.lock.write(expected, next)
          : Effect.andThen(Effect.yieldNow, put(register, next))
    })
  },
  {
    wrong: "no compare-and-set",
    case: "a write against an older version conflicts and changes nothing",
    says: "write should conflict against a version that is not the current one",
    make: (register) => ({ write: (_, next) => put(register, next) })
  },
  {
    wrong: "a conflict is told as a success",
    case: "a write against an older version conflicts and changes nothing",
    says: "write should conflict against a version that is not the current one",
    make: ({ current, lock }) => ({
      write: (expected, next) =>
        Effect.catch(lock.write(expected, next), () =>
          Effect.succeed({ ...current(), record: Option.some(next), fence: current().fence + 1n })
        )
    })
  },
  {
    wrong: "a conflict makes a new version",
    case: "a write against an older version conflicts and changes nothing",
    says: "write should change nothing when it conflicts, but version is",
    make: ({ edit, lock }) => ({ write: (expected, next) => Effect.tapError(lock.write(expected, next), () => edit) })
  },
  {
    wrong: "a conflict is thrown",
    case: "a write against an older version conflicts and changes nothing",
    says: "write should succeed, or fail with the LockError Conflict of memory, but it did not fail but died",
    make: ({ lock }) => ({
      write: (expected, next) => Effect.catch(lock.write(expected, next), (error) => Effect.die(error))
    })
  },
  {
    wrong: "a conflict is told as trouble with the server",
    case: "a write against an older version conflicts and changes nothing",
    says: "but it failed with Unavailable",
    make: ({ lock }) => ({
      write: (expected, next) =>
        Effect.mapError(
          lock.write(expected, next),
          () => new LeaseLock.LockError({ lock: "memory", reason: new LeaseLock.Unavailable({}) })
        )
    })
  },
  {
    wrong: "the comparison and the write are two steps",
    case: "of 100 writers at once exactly one wins, round after round",
    says: "write should let exactly one of 100 writers at once win, but 100",
    make: (register) => ({
      write: (expected, next) =>
        Effect.suspend(() =>
          expected.version === register.current().version
            ? Effect.andThen(Effect.yieldNow, put(register, next))
            : Effect.fail(conflict)
        )
    })
  },
  {
    wrong: "two writes share a fence",
    case: "fences grow with every write, and no version comes twice",
    says: "write should give a greater fence",
    make: (register) => mapped(register, (it) => ({ ...it, fence: (it.fence + 1n) / 2n }))
  },
  {
    wrong: "versions come again",
    case: "fences grow with every write, and no version comes twice",
    says: "write should give a version that was never there",
    make: ({ current, lock }) => {
      const short = (it: Observation) => ({ ...it, version: String(it.fence % 3n) })
      return {
        read: Effect.map(lock.read, short),
        write: (_, next) => Effect.map(lock.write(current(), next), short)
      }
    }
  },
  {
    wrong: "reads come from a cache",
    case: "a read gives every write that was answered before it was sent, through every handle",
    says: "read should give the write that was answered before",
    make: ({ lock }) => {
      let cached: Observation | undefined
      const fill = Effect.tap(Effect.delay(lock.read, "20 millis"), (it) => Effect.sync(() => (cached = it)))
      return {
        read: Effect.suspend(() =>
          cached === undefined
            ? Effect.tap(lock.read, (it) => Effect.sync(() => (cached = it)))
            : Effect.as(Effect.forkDetach(fill), cached)
        ),
        write: (_, next) => Effect.flatMap(lock.read, (now) => lock.write(now, next))
      }
    }
  },
  {
    wrong: "notices have a version of their own",
    case: "the answer to a write, a read and a notice agree on record, version, fence and uid",
    says: "changes should agree with the answer to the write, but version is",
    make: ({ lock }) => ({
      changes: (after) => Stream.map(lock.changes(after), (it) => ({ ...it, version: `notice ${it.version}` }))
    })
  },
  {
    wrong: "the incarnation is not kept",
    case: "a record comes back as it was written",
    says: "incarnation is none instead of 0123456789abcdef",
    make: changing(({ incarnation: _lost, ...rest }) => rest)
  },
  {
    wrong: "a release keeps the holder",
    case: "a record comes back as it was written",
    says: "instead of none",
    make: changing((it) => ({ ...it, holder: Option.orElseSome(it.holder, () => "nobody") }))
  },
  {
    wrong: "times are cut and nobody is told",
    case: "a record comes back as it was written",
    says: "acquiredAt is 2026-01-02T03:04:05.000Z instead of 2026-01-02T03:04:05.001Z",
    make: changing((it) => ({ ...it, acquiredAt: inSeconds(it.acquiredAt) }))
  },
  {
    wrong: "durations are cut and nobody is told",
    case: "a record comes back as it was written",
    says: "leaseDuration is",
    make: changing((it) => ({
      ...it,
      leaseDuration: Duration.seconds(Math.floor(Duration.toSeconds(it.leaseDuration)))
    }))
  },
  {
    wrong: "an equal record is not written",
    case: "the same record written again is a write",
    says: "write should give a new fence to a record that is the same",
    make: ({ current, lock }) => ({
      write: (expected, next) =>
        Option.exists(current().record, (it) => DateTime.Equivalence(it.renewedAt, next.renewedAt))
          ? Effect.succeed(current())
          : lock.write(expected, next)
    })
  },
  {
    wrong: "a copied observation is not known",
    case: "what a write, a read or a notice told can be written against, also as a copy",
    says: "write should win against the current version",
    make: ({ current, lock }) => ({
      write: (expected, next) => (expected === current() ? lock.write(expected, next) : Effect.fail(conflict))
    })
  }
]

/** A write under way keeps the next ones waiting, and one that is cut short keeps them waiting for ever. */
const stuckAfterInterruption = () => {
  const semaphore = Semaphore.makeUnsafe(1)
  return <A, E>(effect: Effect.Effect<A, E>) =>
    semaphore.take(1).pipe(
      Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 3 })),
      Effect.andThen(Effect.exit(effect)),
      Effect.tap(() => semaphore.release(1)),
      Effect.flatten
    )
}

const interruption: ReadonlyArray<Broken> = [
  {
    wrong: "an interrupted write keeps its mutex",
    case: "a write that is interrupted happened or did not, and the lock can be used",
    says: "write should be answered, but nothing came within",
    make: ({ lock }) => {
      const alone = stuckAfterInterruption()
      return { write: (expected, next) => alone(lock.write(expected, next)) }
    }
  },
  {
    wrong: "a write has two halves",
    case: "a write that is interrupted happened or did not, and the lock can be used",
    says: "write should have happened as a whole or not at all when it is interrupted, but transitions",
    make: (register) => ({
      write: (expected, next) =>
        expected.version === register.current().version
          ? Effect.andThen(
              Effect.andThen(register.put({ ...next, transitions: 99 }), Effect.repeat(Effect.yieldNow, { times: 3 })),
              put(register, next)
            )
          : Effect.fail(conflict)
    })
  },
  {
    wrong: "an interrupted read keeps its mutex",
    case: "a read that is interrupted leaves the lock as it was",
    says: "read should be answered, but nothing came within",
    make: ({ lock }) => ({ read: stuckAfterInterruption()(lock.read) })
  },
  {
    wrong: "changes do not hear that nobody listens any more",
    case: "changes that are interrupted end at once, and others go on",
    says: "changes should end when it is interrupted, but it went on",
    make: ({ lock }) => ({
      changes: (after) => Stream.ensuring(lock.changes(after), Effect.sleep("1 second"))
    })
  }
]

export const brokenWrites: ReadonlyArray<Broken> = [...writing, ...interruption]
