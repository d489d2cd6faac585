/**
 * Keeps two runs from building the same thing twice: one builds, the other waits and finds it done.
 *
 * The lock is a file which its holder touches every few seconds. A holder that dies in whatever way stops touching it,
 * and after `abandonedAfter` the next run takes over. Two runs that find an abandoned lock in the same instant may both
 * go on: that costs time, not correctness, because what is built appears under its name by a rename.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import type { Scope } from "effect/Scope"
import { inRealTime } from "./RealTime.ts"

const touchEvery = Duration.seconds(3)
const abandonedAfter = Duration.seconds(15)
const askAgainAfter = Duration.millis(500)

/** Waits until the lock is this run's, for the rest of the scope. */
export const acquire = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<void, PlatformError, FileSystem.FileSystem | Scope> {
  const fs = yield* FileSystem.FileSystem

  yield* Effect.acquireRelease(
    attempt(file).pipe(Effect.repeat({ until: (taken) => taken, schedule: Schedule.spaced(askAgainAfter) })),
    () => Effect.ignore(fs.remove(file)),
    { interruptible: true }
  )
  yield* Clock.currentTimeMillis.pipe(
    Effect.flatMap((now) => fs.utimes(file, new Date(now), new Date(now))),
    Effect.ignore,
    Effect.repeat(Schedule.spaced(touchEvery)),
    Effect.forkScoped
  )
}, inRealTime)

const attempt = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<boolean, PlatformError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const created = yield* fs.writeFileString(file, `${process.pid}\n`, { flag: "wx" }).pipe(
    Effect.as(true),
    Effect.catchIf(
      (error) => error.reason._tag === "AlreadyExists",
      () => Effect.succeed(false)
    )
  )
  if (created) return true

  const touched = yield* fs.stat(file).pipe(
    Effect.map((info) => info.mtime),
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeedNone
    )
  )
  const now = yield* Clock.currentTimeMillis
  if (Option.isSome(touched) && now - touched.value.getTime() > Duration.toMillis(abandonedAfter)) {
    yield* fs.remove(file, { force: true })
  }
  return false
})
