/**
 * The server's side of a simulated lock: one register in memory, and the third parties that interfere with it.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { LeaseLock } from "@effect-leader/core"

/**
 * A register in memory, which can do what only third parties do to a lock.
 *
 * @since 0.1.0
 */
export interface Register {
  readonly lock: LeaseLock.LeaseLock["Service"]
  readonly current: () => LeaseLock.Observation
  /** Somebody edits what is not the record, such as a label: a new version of the same record. */
  readonly edit: Effect.Effect<void>
  readonly remove: Effect.Effect<void>
  /** Somebody deletes it and makes it again with the same record: another uid. */
  readonly recreate: Effect.Effect<void>
  /** A third party writes a record, whatever is there. */
  readonly put: (record: LeaseLock.LeaseRecord) => Effect.Effect<void>
}

export const make = (name: string): Effect.Effect<Register> =>
  Effect.map(PubSub.unbounded<LeaseLock.Observation>(), (notices) => {
    let lives = 0
    let current: LeaseLock.Observation = { record: Option.none(), version: "0", fence: 0n }

    const change = (record: Option.Option<LeaseLock.LeaseRecord>): LeaseLock.Observation => {
      if (Option.isNone(current.record) && Option.isSome(record)) lives += 1
      const fence = current.fence + 1n
      const uid = Option.isSome(record) ? { uid: `life ${lives}` } : {}
      current = { record, version: String(fence), fence, ...uid }
      PubSub.publishUnsafe(notices, current)
      return current
    }
    const conflict = (expected: string) =>
      new LeaseLock.LockError({
        lock: name,
        reason: new LeaseLock.Conflict({ detail: `version ${expected} was expected, ${current.version} is there` })
      })

    // A write against absence names no version, as on Kubernetes: it may come after another life of the lock.
    const isCurrent = (expected: LeaseLock.Observation): boolean =>
      Option.isNone(expected.record) ? Option.isNone(current.record) : expected.version === current.version

    const lock = LeaseLock.LeaseLock.of({
      name,
      read: Effect.sync(() => current),
      write: (expected, next) =>
        Effect.suspend(() =>
          isCurrent(expected) ? Effect.succeed(change(Option.some(next))) : Effect.fail(conflict(expected.version))
        ),
      changes: (after) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const subscription = yield* PubSub.subscribe(notices)
            const queue = yield* Queue.unbounded<LeaseLock.Observation, Cause.Done>()
            if (current.fence > after.fence) yield* Queue.offer(queue, current)
            yield* Effect.forkScoped(
              Effect.forever(Effect.flatMap(PubSub.take(subscription), (it) => Queue.offer(queue, it)))
            )
            return Stream.fromQueue(queue)
          })
        )
    })
    const exists = (then: () => void) =>
      Effect.sync(() => {
        if (Option.isSome(current.record)) then()
      })
    return {
      lock,
      current: () => current,
      edit: exists(() => change(current.record)),
      remove: exists(() => change(Option.none())),
      recreate: exists(() => {
        const { record } = current
        change(Option.none())
        change(record)
      }),
      put: (record) => Effect.sync(() => change(Option.some(record)))
    }
  })
