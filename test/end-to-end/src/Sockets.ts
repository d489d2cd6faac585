/**
 * The TCP connections of another process, as Linux tells them: a connection that is kept has the same local port the next
 * time one looks.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** Other systems do not tell. */
export const areVisible = process.platform === "linux"

const established = "01"

/** The local ports of its connections to a port of 127.0.0.1, in order. */
export const localPortsOf = (pid: number, remotePort: number): ReadonlyArray<number> => {
  const own = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(`/proc/${pid}/fd/${fd}`)))
  return readFileSync(`/proc/${pid}/net/tcp`, "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, , remote, state, , , , , , inode]) =>
        state === established && portOf(remote) === remotePort && own.has(`socket:[${inode}]`)
    )
    .map(([, local]) => portOf(local))
    .toSorted((a, b) => a - b)
}

/** It may be closed in between. */
const targetOf = (link: string): string => {
  try {
    return readlinkSync(link)
  } catch {
    return ""
  }
}

const portOf = (address: string | undefined): number => Number.parseInt(address?.split(":")[1] ?? "", 16)
