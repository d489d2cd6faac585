/**
 * For the case that the demo itself is killed and cannot clean up: a small shell that outlives it, kills its processes,
 * frozen ones too, removes its folder and shows the cursor again. It learns of the demo's end by the end of its input.
 */
import type { Cause } from "effect"
import { Context, Effect, FileSystem, Layer, Queue, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"

export class Watchdog extends Context.Service<
  Watchdog,
  {
    /** A temporary folder, gone with the demo. */
    readonly folder: string
    /** Which processes to kill. */
    readonly watch: (pids: ReadonlyArray<number>) => Effect.Effect<void>
  }
>()("effect-leader-demo/Watchdog") {
  static readonly layer = Layer.effect(
    Watchdog,
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const { canAnimate } = yield* TerminalCapabilities
      const folder = yield* files.makeTempDirectoryScoped({ prefix: "effect-leader-demo-" })
      const lines = yield* Queue.unbounded<string, Cause.Done>()
      const shell = yield* ChildProcess.make("/bin/sh", ["-c", script, "watchdog", folder, canAnimate ? restore : ""], {
        stdin: Stream.fromQueue(lines).pipe(Stream.encodeText),
        stdout: canAnimate ? "inherit" : "ignore",
        stderr: "ignore"
      })
      yield* Effect.addFinalizer(() =>
        Queue.offer(lines, "dismissed\n").pipe(
          Effect.andThen(Queue.end(lines)),
          Effect.andThen(Effect.timeoutOption(shell.exitCode, "1 second")),
          Effect.ignore
        )
      )
      return Watchdog.of({
        folder,
        watch: (pids) => Effect.asVoid(Queue.offer(lines, `${pids.join(" ")}\n`))
      })
    })
  )
}

/** Leaves the alternate screen and shows the cursor. */
export const restore = "\u001b[?1049l\u001b[?25h"

// Signals to the terminal's programs do not reach it, since a child process here leads a session of its own.
const script = `
while read -r line; do
  [ "$line" != dismissed ] || exit 0
  pids=$line
done
[ -z "$pids" ] || kill -9 $pids
rm -rf "$1"
printf %s "$2"
`
