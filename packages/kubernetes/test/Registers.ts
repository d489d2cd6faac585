/**
 * Registers in memory that count together, as objects in one etcd do, and what third parties do to them. In virtual time.
 */
import { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"

type Lock = LeaseLock.LeaseLock["Service"]

export interface Register {
  /** As one handle sees it: an absent register has the greatest fence that this handle knows of. */
  readonly handle: () => Lock
  readonly current: () => LeaseLock.Observation
  readonly put: (record: LeaseLock.LeaseRecord) => Effect.Effect<LeaseLock.Observation>
  readonly remove: Effect.Effect<void>
}

/** Each call of the result makes a register; all of them count together. */
export const makeStore = () => {
  let version = 0n
  return (name: string): Effect.Effect<Register> =>
    Effect.map(PubSub.unbounded<LeaseLock.Observation>({ replay: 1 }), (notices) => {
      let lives = 0
      let current: LeaseLock.Observation = { record: Option.none(), version: "absent", fence: 0n }

      const change = (record: Option.Option<LeaseLock.LeaseRecord>): LeaseLock.Observation => {
        if (Option.isNone(current.record) && Option.isSome(record)) lives += 1
        version += 1n
        current = Option.isSome(record)
          ? { record, version: String(version), fence: version, uid: `${name}-${lives}` }
          : { record, version: "absent", fence: version }
        PubSub.publishUnsafe(notices, current)
        return current
      }

      const handle = (): Lock => {
        let greatest = 0n
        const see = (observation: LeaseLock.Observation) => {
          if (Option.isSome(observation.record) && observation.fence > greatest) greatest = observation.fence
          return observation
        }
        return {
          name: "pair",
          durationUnit: Duration.seconds(1),
          read: Effect.sync(() => see(Option.isSome(current.record) ? current : { ...current, fence: greatest })),
          write: (expected, next) =>
            Effect.suspend(() =>
              expected.version === current.version
                ? Effect.succeed(see(change(Option.some(next))))
                : Effect.fail(
                    new LeaseLock.LockError({
                      lock: "pair",
                      reason: new LeaseLock.Conflict({ detail: `${name}: ${expected.version}` })
                    })
                  )
            ),
          changes: (after) =>
            Stream.fromPubSub(notices).pipe(
              Stream.filter((observation) => observation.fence > after.fence),
              Stream.map(see)
            )
        }
      }

      return {
        handle,
        current: () => current,
        put: (record) => Effect.sync(() => change(Option.some(record))),
        remove: Effect.sync(() => {
          if (Option.isSome(current.record)) change(Option.none())
        })
      }
    })
}

/** Held, or free if the holder is undefined; `at` is when it was renewed, in milliseconds. */
export const record = (
  holder: string | undefined,
  at: number,
  change: Partial<LeaseLock.LeaseRecord> = {}
): LeaseLock.LeaseRecord => ({
  holder: Option.fromUndefinedOr(holder),
  leaseDuration: Duration.seconds(15),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(at),
  transitions: 0,
  ...change
})
