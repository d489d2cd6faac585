/**
 * Sees to it that nothing is left behind: no process that was put in its charge, no file in its temporary folder.
 *
 * The guard is a small shell process which outlives this one. It reads a pipe that only this process can write to, so
 * it notices every end of this process, including SIGKILL and a test worker that is terminated, and then kills what is
 * still in its charge and removes the folder. An orderly end takes the same path. The guard has a session of its own:
 * Ctrl-C in a terminal does not reach it. It is powerless only when it is killed itself or the machine goes down.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type { Scope } from "effect/Scope"
import { spawn } from "node:child_process"

export interface ProcessGuard {
  /** The temporary folder, for whatever the guarded processes write. */
  readonly folder: string
  /** To be called in the same tick in which the process was spawned. */
  readonly take: (pid: number) => void
  /** To be called when the process is known to be gone, before its number can belong to another. */
  readonly drop: (pid: number) => void
}

// Each line replaces the whole list. A process that leads a group takes its children with it. A dying process may still be writing, which makes `rm` fail: hence the repetition.
const script = `
while read -r line; do pids=$line; done
for pid in $pids; do kill -KILL "-$pid" || kill -KILL "$pid"; done
attempts=0
until rm -rf "$1" || [ "$attempts" -ge 100 ]; do attempts=$((attempts + 1)); sleep 0.1; done
`

export const make = Effect.fnUntraced(function* (
  prefix: string
): Effect.fn.Return<ProcessGuard, PlatformError, FileSystem.FileSystem | Scope> {
  const fs = yield* FileSystem.FileSystem
  const { guard } = yield* Effect.acquireRelease(Effect.map(fs.makeTempDirectory({ prefix }), start), ({ end }) => end)
  return guard
})

const start = (folder: string): { readonly guard: ProcessGuard; readonly end: Effect.Effect<void> } => {
  const shell = spawn("/bin/sh", ["-c", script, "process-guard", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true
  })
  const gone = new Promise<void>((resolve) => {
    shell.once("exit", () => resolve())
    shell.once("error", () => resolve())
  })
  // A guard that was killed must not bring down what it guards.
  shell.stdin.on("error", () => {})
  shell.unref()

  const pids = new Set<number>()
  const tell = () => {
    shell.stdin.write(`${[...pids].join(" ")}\n`)
  }
  return {
    guard: {
      folder,
      take: (pid) => {
        pids.add(pid)
        tell()
      },
      drop: (pid) => {
        pids.delete(pid)
        tell()
      }
    },
    end: Effect.promise(() => {
      shell.ref()
      shell.stdin.end()
      return gone
    })
  }
}
