/**
 * What a replica writes down about itself, one JSON line per event, and how a test reads it while the replica runs. Lines
 * are written synchronously, so that a killed process has written all that it did. Instants are of the monotonic clock,
 * which all processes of a machine share: journals of several replicas can be put in one order.
 */
import * as Schema from "effect/Schema"
import { closeSync, existsSync, openSync, readSync, writeSync } from "node:fs"

const common = {
  /** Nanoseconds of the monotonic clock. */
  at: Schema.BigIntFromString,
  identity: Schema.String,
  pid: Schema.Int
}

/** Leader work: begins, does something, is told to stop, has ended with its last finalizer. */
export const WorkEntry = Schema.Struct({
  ...common,
  event: Schema.Literals(["Started", "Tick", "Stopping", "Ended"]),
  token: Schema.BigIntFromString
})
export type WorkEntry = typeof WorkEntry.Type

/** What `leadership` said. */
export const StatusEntry = Schema.Struct({
  ...common,
  event: Schema.Literals(["Standby", "Leading", "Draining"]),
  /** Whom a candidate on standby follows. */
  leader: Schema.optionalKey(Schema.String)
})
export type StatusEntry = typeof StatusEntry.Type

export const Entry = Schema.Union([WorkEntry, StatusEntry])
export type Entry = typeof Entry.Type

export const isWork = (entry: Entry): entry is WorkEntry => "token" in entry

const Line = Schema.fromJsonString(Entry)
const encode = Schema.encodeSync(Line)
const decode = Schema.decodeUnknownSync(Line)

export interface Writer {
  readonly work: (event: WorkEntry["event"], token: bigint) => void
  readonly status: (event: StatusEntry["event"], leader?: string) => void
}

export const write = (path: string, identity: string): Writer => {
  const file = openSync(path, "a")
  const author = () => ({ at: process.hrtime.bigint(), identity, pid: process.pid })
  const append = (entry: Entry) => void writeSync(file, `${encode(entry)}\n`)
  return {
    work: (event, token) => append({ ...author(), event, token }),
    status: (event, leader) => append({ ...author(), event, ...(leader === undefined ? {} : { leader }) })
  }
}

/** Each call returns all entries so far, and reads only what has been added. */
export const read = (path: string): (() => ReadonlyArray<Entry>) => {
  const entries: Array<Entry> = []
  const buffer = Buffer.alloc(64 * 1024)
  let position = 0
  let unfinished = ""
  return () => {
    if (!existsSync(path)) return entries
    const file = openSync(path, "r")
    try {
      for (let size = -1; size !== 0; position += size) {
        size = readSync(file, buffer, 0, buffer.length, position)
        const lines = (unfinished + buffer.toString("latin1", 0, size)).split("\n")
        unfinished = lines.pop() ?? ""
        for (const line of lines) entries.push(decode(line))
      }
    } finally {
      closeSync(file)
    }
    return entries
  }
}
