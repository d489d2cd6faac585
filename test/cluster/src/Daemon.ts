/**
 * A program that runs until it is told otherwise, as one thing that can be started, stopped, killed, frozen and thawed
 * again and again: what a test of faults needs from a server. All operations may be repeated: stopping what is stopped
 * and starting what runs do nothing. At the end of the scope the process is gone, even if it was frozen.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { Scope } from "effect/Scope"
import { spawn, type ChildProcess } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import type { ProcessGuard } from "./ProcessGuard.ts"
import { inRealTime } from "./RealTime.ts"

/** The process ended by itself. */
export class Died extends Schema.TaggedError<Died>()("Died", { how: Schema.String }) {}
/** The process runs but did not become ready. */
export class NotReady extends Schema.TaggedError<NotReady>()("NotReady", { within: Schema.Duration }) {}

/** A daemon could not be started: why, and the end of its log. */
export class DaemonError extends Schema.TaggedError<DaemonError>()("DaemonError", {
  program: Schema.String,
  reason: Schema.Union([Died, NotReady]),
  log: Schema.String
}) {
  override get message() {
    const what =
      this.reason._tag === "Died"
        ? `ended before it was ready (${this.reason.how})`
        : `was not ready within ${Duration.format(this.reason.within)}`
    return `${this.program} ${what}. The end of its log:\n${this.log}`
  }
}

export interface Daemon {
  /** Starts the program unless it runs, and waits until it is ready. */
  readonly start: Effect.Effect<void, DaemonError>
  /** SIGTERM, and SIGKILL to what is still there after 30 seconds. A frozen program is thawed to get the signal. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL: no goodbye to anyone. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  readonly freeze: Effect.Effect<void>
  /** SIGCONT. */
  readonly thaw: Effect.Effect<void>
}

export interface Options {
  readonly program: string
  readonly path: string
  readonly args: ReadonlyArray<string>
  readonly guard: ProcessGuard
  /** Asked again and again after a start. */
  readonly isReady: Effect.Effect<boolean>
}

interface Running {
  readonly _tag: "Running"
  readonly child: ChildProcess
  /** How it ended. */
  readonly gone: Deferred.Deferred<string>
}
type State = { readonly _tag: "Stopped" } | Running

const stopped: State = { _tag: "Stopped" }
const readyWithin = Duration.seconds(60)
const stopWithin = Duration.seconds(30)

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Daemon, never, FileSystem.FileSystem | Scope> {
  const fs = yield* FileSystem.FileSystem
  // Not a Ref: it changes in the callbacks of the child process, in the same tick in which the system reports the end.
  let state: State = stopped
  const log = `${options.guard.folder}/${options.program}.log`

  const fail = Effect.fnUntraced(function* (reason: DaemonError["reason"]) {
    const whole = yield* fs.readFileString(log).pipe(Effect.orElseSucceed(() => ""))
    return yield* new DaemonError({ program: options.program, reason, log: whole.slice(-4000) })
  })

  const launch = Effect.sync(() => {
    if (state._tag === "Running") return state
    const running = run(options, log, () => {
      state = stopped
    })
    state = running
    return running
  })
  const start = Effect.gen(function* () {
    const { gone } = yield* launch
    const died = Effect.flatMap(Deferred.await(gone), (how) => fail(new Died({ how })))
    const ready = options.isReady.pipe(
      Effect.repeat({ until: (ready) => ready, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOrElse({ duration: readyWithin, orElse: () => fail(new NotReady({ within: readyWithin })) })
    )
    yield* Effect.raceFirst(ready, died)
  }).pipe(inRealTime)

  const signal = (...signals: ReadonlyArray<NodeJS.Signals>) =>
    Effect.sync(() => {
      if (state._tag === "Running") for (const signal of signals) state.child.kill(signal)
      return state
    })
  const untilGone = (current: State) => (current._tag === "Running" ? Deferred.await(current.gone) : Effect.void)

  const kill = signal("SIGKILL").pipe(Effect.flatMap(untilGone), Effect.asVoid)
  const stop = signal("SIGTERM", "SIGCONT").pipe(
    Effect.flatMap(untilGone),
    Effect.timeoutOrElse({ duration: stopWithin, orElse: () => kill }),
    Effect.asVoid,
    inRealTime
  )
  yield* Effect.addFinalizer(() => kill)
  return {
    start,
    stop,
    kill,
    freeze: Effect.asVoid(signal("SIGSTOP")),
    thaw: Effect.asVoid(signal("SIGCONT"))
  }
})

const run = (options: Options, log: string, onGone: () => void): Running => {
  const output = openSync(log, "a")
  const child = spawn(options.path, options.args, {
    stdio: ["ignore", output, output],
    // A session of its own: Ctrl-C in a terminal is for this process, which then decides about its children.
    detached: true,
    // Nothing of the developer's shell: etcd takes every flag from ETCD_* variables too.
    env: { HOME: options.guard.folder, TMPDIR: options.guard.folder }
  })
  closeSync(output)

  const gone = Deferred.makeUnsafe<string>()
  const { pid } = child
  const end = (how: string) => {
    if (pid !== undefined) options.guard.drop(pid)
    onGone()
    Deferred.doneUnsafe(gone, Effect.succeed(how))
  }
  if (pid !== undefined) options.guard.take(pid)
  child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`))
  // Without a number the program was never started; with one, "error" is about a signal that came too late.
  child.on("error", (cause) => {
    if (pid === undefined) end(cause.message)
  })
  return { _tag: "Running", child, gone }
}
