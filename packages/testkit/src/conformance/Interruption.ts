/**
 * What an interruption may leave behind: a write that happened or did not, and nothing else.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Handle, LeaseRecord, Observation, Trial } from "./Trial.ts"
import { differences, say } from "./Trial.ts"
import type { Test } from "./Writing.ts"

const times = 30
const pause = Schedule.spaced("10 millis")

/** Starts it, lets it come a little further each time, and interrupts it; the interruption must not hang. */
const cutShort = Effect.fnUntraced(function* <A, B, E>(
  { check, patience }: Trial<E>,
  operation: "read" | "write" | "changes",
  effect: Effect.Effect<A, B>,
  progress: number
) {
  const fiber = yield* Effect.forkDetach(effect, { startImmediately: true })
  yield* progress % 2 === 0
    ? Effect.repeat(Effect.yieldNow, { times: progress })
    : Effect.sleep(Duration.millis(progress * 0.15))
  const ended = yield* Effect.timeoutOption(Effect.exit(Fiber.interrupt(fiber)), patience)
  yield* check(operation, Option.isSome(ended), "end when it is interrupted", () => "it went on")
})

const interruptedWrites: Test = Effect.fnUntraced(function* (trial) {
  const { check, handles, record } = trial
  let before = yield* handles[0].write(yield* handles[0].read, record("a"))
  for (let index = 0; index < times; index += 1) {
    const handle = handles[index % handles.length] ?? handles[0]
    const next = record(`interrupted-${index}`)
    yield* cutShort(trial, "write", handle.lock.write(yield* handle.read, next), index)
    before = yield* settle(trial, handle, before, next, record(`after-${index}`))
    const other = handles[(index + 1) % handles.length] ?? handles[0]
    const seen = yield* other.read
    yield* check("write", seen.version === before.version, `leave ${say(before)} as the current version`, () =>
      say(seen)
    )
  }
})

/** On its way to a server the interrupted write may come before the next read, between that and the next write, or never. */
const settle = Effect.fnUntraced(function* <E>(
  { check }: Trial<E>,
  handle: Handle,
  before: Observation,
  interrupted: LeaseRecord,
  next: LeaseRecord
) {
  let seen = yield* handle.read
  for (;;) {
    const now = seen
    const happened = now.version !== before.version
    const differing = happened ? differences(interrupted, now.record) : []
    yield* check("write", differing.length === 0, "have happened as a whole or not at all when it is interrupted", () =>
      differing.join(", ")
    )
    const written = yield* handle.tryWrite(now, next)
    if (Option.isSome(written)) return written.value
    seen = yield* handle.read
    const moved = seen.version !== now.version
    yield* check(
      "write",
      moved && !happened,
      "win against the current version after another was interrupted",
      () => `it conflicted at ${say(now)}`
    )
  }
})

const interruptedReads: Test = Effect.fnUntraced(function* (trial) {
  const { check, handles, record } = trial
  let last = yield* handles[0].write(yield* handles[0].read, record("a"))
  for (let index = 0; index < times; index += 1) {
    const handle = handles[index % handles.length] ?? handles[0]
    yield* cutShort(trial, "read", handle.lock.read, index)
    const seen = yield* handle.read
    const current = say(last)
    yield* check("read", seen.version === last.version, `give ${current} after another was interrupted`, () =>
      say(seen)
    )
    last = yield* handle.write(seen, record(`holder-${index}`))
  }
})

const interruptedChanges: Test = Effect.fnUntraced(
  function* (trial) {
    const { handles, record } = trial
    const [a, b] = handles
    let last = yield* a.write(yield* a.read, record("a"))
    const other = yield* b.follow(yield* b.read)
    for (let index = 0; index < times; index += 1) {
      const handle = handles[index % handles.length] ?? a
      const seen = yield* handle.read
      yield* cutShort(trial, "changes", Stream.runDrain(handle.lock.changes(seen)), index)
      const written = yield* a.write(last, record(`holder-${index}`))
      yield* other.until(
        `tell a watcher of ${say(written)} after another was interrupted`,
        ({ fence }) => fence >= written.fence
      )
      last = written
    }
  },
  (effect) => Effect.scoped(effect)
)

const nothingOpen: Test = Effect.fnUntraced(function* (trial) {
  const { check, handles, open, record } = trial
  if (Option.isNone(open)) return
  const [a] = handles
  const first = yield* a.write(yield* a.read, record("a"))
  const before = yield* open.value
  for (let index = 0; index < times; index += 1) {
    const handle = handles[index % handles.length] ?? a
    yield* cutShort(trial, "changes", Stream.runDrain(handle.lock.changes(first)), index)
    yield* cutShort(trial, "read", handle.lock.read, index)
    yield* cutShort(trial, "write", handle.lock.write(first, record("a")), index)
  }
  const settled = open.value.pipe(
    Effect.repeat({ until: (now) => now <= before, schedule: pause }),
    Effect.timeoutOption(trial.patience)
  )
  const isSettled = Option.isSome(yield* settled)
  const after = yield* open.value
  yield* check("changes", isSettled, `leave no more than ${before} open when interrupted`, () => `${after} are open`)
})

export const interruption: ReadonlyArray<readonly [string, Test]> = [
  ["a write that is interrupted happened or did not, and the lock can be used", interruptedWrites],
  ["a read that is interrupted leaves the lock as it was", interruptedReads],
  ["changes that are interrupted end at once, and others go on", interruptedChanges]
]

export const probed: ReadonlyArray<readonly [string, Test]> = [["what is interrupted leaves nothing open", nothingOpen]]
