/**
 * Sees to it that no process of a test is left behind, and no folder: a small shell outlives this process. It learns of
 * its end, in whatever way, by the end of its own input, and cleans up. An orderly end takes the same path.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { chownSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"

export interface Guard {
  /** A temporary folder. */
  readonly folder: string
  readonly take: (pid: number) => void
  /** To be called when the process is gone, before another can have its number. */
  readonly drop: (pid: number) => void
}

/** Who the folder belongs to, if not to this process. */
export interface Owner {
  readonly uid?: number
  readonly gid?: number
}

// PostgreSQL takes SIGQUIT for "at once, and leave nothing behind"; a frozen process takes nothing but SIGKILL.
const script = `
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -QUIT $pids
attempts=0
while [ -n "$pids" ] && [ "$attempts" -lt 20 ] && kill -0 $pids; do attempts=$((attempts + 1)); sleep 0.1; done
[ -z "$pids" ] || kill -KILL $pids
until rm -rf "$1" || [ "$attempts" -ge 100 ]; do attempts=$((attempts + 1)); sleep 0.1; done
`

export const make = (owner: Owner = {}) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => start(owner)),
      ({ end }) => end
    ),
    ({ guard }) => guard
  )

const start = ({ gid, uid }: Owner): { readonly guard: Guard; readonly end: Effect.Effect<void> } => {
  const folder = mkdtempSync(`${tmpdir()}/leader-follower-store-`)
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
  const shell = spawn("/bin/sh", ["-c", script, "guard", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true
  })
  shell.stdin.on("error", () => {})
  shell.unref()

  const pids = new Set<number>()
  const tell = () => shell.stdin.write(`${[...pids].join(" ")}\n`)
  const guard = {
    folder,
    take: (pid: number) => {
      pids.add(pid)
      tell()
    },
    drop: (pid: number) => {
      pids.delete(pid)
      tell()
    }
  }
  const end = Effect.callback<void>((resume) => {
    shell.ref()
    shell.once("exit", () => resume(Effect.void))
    shell.stdin.end()
  })
  return { guard, end }
}
