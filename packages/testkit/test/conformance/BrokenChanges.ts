/**
 * Locks whose changes, or whose removal, are wrong on purpose, each in one way.
 */
import { LeaseLock } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Broken } from "./BrokenLocks.ts"

type Observation = LeaseLock.Observation

const conflict = new LeaseLock.LockError({ lock: "memory", reason: new LeaseLock.Conflict({}) })

const changes: ReadonlyArray<Broken> = [
  {
    wrong: "changes begin when they are opened",
    case: "changes after an older version give the last one",
    says: "but within 300ms they told nothing",
    make: ({ current, lock }) => ({ changes: () => Stream.suspend(() => lock.changes(current())) })
  },
  {
    wrong: "changes tell what is not so",
    case: "changes after the current version say nothing until there is a write",
    says: "changes should say nothing new while nobody writes",
    make: ({ lock }) => ({
      changes: (after) => Stream.concat(Stream.make({ ...after, fence: after.fence + 1n }), lock.changes(after))
    })
  },
  {
    wrong: "between the first look and the subscription a write is missed",
    case: "a write at the moment when changes are opened is not missed",
    says: "changes should tell of a write that was under way when they were opened",
    make: ({ current, lock }) => ({
      changes: (after) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const before = current()
            yield* Effect.repeat(Effect.yieldNow, { times: 3 })
            const rest = lock.changes(current())
            return before.fence > after.fence ? Stream.concat(Stream.make(before), rest) : rest
          })
        )
    })
  },
  {
    wrong: "a burst is thinned out, without its end",
    case: "changes never end with a lost last change, whatever burst came before",
    says: "before the last write",
    make: ({ lock }) => ({
      changes: (after) => {
        let lastTold = -Infinity
        return Stream.filter(lock.changes(after), () => {
          const isDue = performance.now() - lastTold > 50
          if (isDue) lastTold = performance.now()
          return isDue
        })
      }
    })
  },
  {
    wrong: "only one watcher is told",
    case: "each of several watchers is told",
    says: "changes should tell watcher 2 of 12",
    make: ({ lock }) => {
      let open = 0
      return {
        changes: (after) =>
          Stream.suspend(() => {
            open += 1
            return open === 1 ? lock.changes(after) : Stream.never
          })
      }
    }
  },
  {
    wrong: "changes that are opened again begin at once",
    case: "changes that were stopped go on after the last notice, with what came meanwhile",
    says: "of what came meanwhile",
    make: ({ current, lock }) => {
      let opened = 0
      return {
        changes: (after) =>
          Stream.suspend(() => {
            opened += 1
            return lock.changes(opened === 1 ? after : current())
          })
      }
    }
  },
  {
    wrong: "a slow reader holds up the writers",
    case: "a reader that takes nothing holds up neither writes nor other readers",
    says: "write should be answered, but nothing came within",
    make: ({ current, lock }) => {
      const notices = Effect.runSync(PubSub.bounded<Observation>(4))
      return {
        write: (expected, next) => Effect.tap(lock.write(expected, next), (it) => PubSub.publish(notices, it)),
        changes: (after) =>
          Stream.suspend(() => {
            const rest = Stream.fromPubSub(notices)
            return current().fence > after.fence ? Stream.concat(Stream.make(current()), rest) : rest
          })
      }
    }
  },
  {
    wrong: "changes end after the first",
    case: "changes never end with a lost last change, whatever burst came before",
    says: "but they ended",
    make: ({ lock }) => ({ changes: (after) => Stream.take(lock.changes(after), 1) })
  }
]

const removal: ReadonlyArray<Broken> = [
  {
    wrong: "absence has no fence",
    case: "what was removed reads as absent, with the greatest fence that is known",
    says: "read should give the greatest fence that is known",
    make: ({ lock }) => ({
      read: Effect.map(lock.read, (it) => (Option.isNone(it.record) ? { ...it, fence: 0n } : it))
    })
  },
  {
    wrong: "the removal is not told",
    case: "changes tell of the removal, and of the next life",
    says: "changes should tell of the removal",
    make: ({ lock }) => ({
      changes: (after) => Stream.filter(lock.changes(after), ({ record }) => Option.isSome(record))
    })
  },
  {
    wrong: "changes end with the removal",
    case: "changes tell of the removal, and of the next life",
    says: "changes should tell of the next life",
    make: ({ lock }) => ({
      changes: (after) => Stream.takeUntil(lock.changes(after), ({ record }) => Option.isNone(record))
    })
  },
  {
    wrong: "a write brings back what was removed",
    case: "a write against what was removed conflicts and does not bring it back",
    says: "write should conflict against a version that is not the current one",
    make: ({ current, lock }) => ({
      write: (expected, next) => lock.write(Option.isNone(current().record) ? current() : expected, next)
    })
  },
  {
    wrong: "fences begin again with every life",
    case: "fences grow across removal, also for a handle that saw nothing of it",
    says: "write should give a fence greater than all before the removal",
    make: ({ current, lock }) => {
      let base = 0n
      const shown = (it: Observation): Observation => ({ ...it, fence: it.fence - base })
      return {
        read: Effect.map(lock.read, (it) => {
          if (Option.isNone(it.record)) base = it.fence
          return shown(it)
        }),
        write: (expected, next) =>
          Effect.map(
            expected.version === current().version ? lock.write(current(), next) : Effect.fail(conflict),
            shown
          )
      }
    }
  },
  {
    wrong: "all lives have one uid",
    case: "each life has a uid of its own, and a write against a former life conflicts",
    says: "write should give each life of what can be removed a uid of its own",
    make: ({ lock }) => ({
      read: Effect.map(lock.read, (it) => ({ ...it, uid: "the one" })),
      write: (expected, next) => Effect.map(lock.write(expected, next), (it) => ({ ...it, uid: "the one" }))
    })
  },
  {
    wrong: "nobody is compared with once there was a removal",
    case: "of 100 first writes after a removal exactly one wins",
    says: "write should let exactly one of 100 writers at once win, but 100",
    make: ({ current, lock }) => ({
      write: (expected, next) =>
        Effect.suspend(() =>
          lock.write(Option.isNone(expected.record) && current().fence > 1n ? current() : expected, next)
        )
    })
  }
]

export const brokenChanges: ReadonlyArray<Broken> = [...changes, ...removal]
