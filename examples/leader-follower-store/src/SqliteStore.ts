/**
 * The store in a SQLite file, for pods that share a machine: SQLite's lock is one of the machine's file system, and what
 * its processes share in WAL mode is memory. A file on a network volume would be corrupted.
 *
 * A transaction is one synchronous piece of code: nothing can interrupt it in the middle but the end of the process,
 * after which it has not happened. While one process writes, the others do not wait in SQLite, where their event loop,
 * and with it the renewal of their lease, would stand still; they come back a little later.
 */
import { Effect, Layer, Option, Result, Schedule } from "effect"
import { DatabaseSync } from "node:sqlite"
import * as Rows from "./Rows.ts"
import { type Outcome, RequestReused, StaleToken, Store, StoreError, type Write } from "./Store.ts"

export interface Options {
  /** Its folder must exist; beside it SQLite makes two files named after it. */
  readonly file: string
}

export const layer = (options: Options): Layer.Layer<Store, StoreError> => Layer.effect(Store, make(options))

/** How long one call may hold up the event loop, waiting for another process's lock. */
const waitMillis = 20
/** How long an operation comes back for the lock. */
const patience = "5 seconds"

const make = Effect.fnUntraced(function* ({ file }: Options) {
  const attempt = attemptOn(file)
  const database = yield* Effect.acquireRelease(
    attempt("open", () => open(file)),
    (database) => Effect.sync(() => database.close())
  )

  const transaction = <A>(body: () => A): A => {
    database.exec("BEGIN IMMEDIATE")
    try {
      const done = body()
      database.exec("COMMIT")
      return done
    } finally {
      if (database.isTransaction) database.exec("ROLLBACK")
    }
  }

  const raiseFence = database.prepare("UPDATE store_fence SET token = :token WHERE token <= :token")
  const readFence = database.prepare("SELECT token FROM store_fence")
  const findRequest = database.prepare("SELECT sequence, key, value FROM store_log WHERE id = ?")
  const append = database.prepare(
    "INSERT INTO store_log (sequence, id, token, key, value) " +
      "SELECT coalesce(max(sequence), 0) + 1, ?, ?, ?, ? FROM store_log RETURNING sequence"
  )
  const upsert = database.prepare(
    "INSERT INTO store_current (key, value, sequence) VALUES (?, ?, ?) " +
      "ON CONFLICT (key) DO UPDATE SET value = excluded.value, sequence = excluded.sequence"
  )
  const readValue = database.prepare("SELECT value, sequence FROM store_current WHERE key = ?")
  const readEntries = database.prepare(
    "SELECT sequence, id, token, key, value FROM store_log WHERE sequence > ? ORDER BY sequence LIMIT ?"
  )

  /** The token it is refused for, if the fence is higher already. */
  const raise = (token: bigint): StaleToken | undefined => {
    if (raiseFence.run({ token }).changes > 0) return undefined
    const [fence] = Rows.newest(readFence.all())
    return new StaleToken({ token, newest: fence.token })
  }

  const put = (token: bigint, { id, key, value }: Write): Outcome => {
    const stale = raise(token)
    if (stale !== undefined) return Result.fail(stale)
    const [earlier] = Rows.logged(findRequest.all(id))
    if (earlier !== undefined) {
      return earlier.key === key && earlier.value === value
        ? Result.succeed({ sequence: earlier.sequence, isRepeated: true })
        : Result.fail(new RequestReused({ id, sequence: earlier.sequence }))
    }
    const [{ sequence }] = Rows.number(append.all(id, token, key, value))
    upsert.run(key, value, sequence)
    return Result.succeed({ sequence, isRepeated: false })
  }

  return Store.of({
    raise: Effect.fn("Store.raise")((token) =>
      Effect.flatMap(
        attempt("raise", () => transaction(() => raise(token))),
        (stale) => (stale === undefined ? Effect.void : Effect.fail(stale))
      )
    ),

    put: Effect.fn("Store.put")((token, write) =>
      Effect.flatMap(
        attempt("put", () => transaction(() => put(token, write))),
        (outcome) => Effect.fromResult(outcome)
      )
    ),

    get: Effect.fn("Store.get")((key) =>
      attempt("get", () => Option.fromUndefinedOr(Rows.values(readValue.all(key))[0]))
    ),

    entries: Effect.fn("Store.entries")((after, limit) =>
      attempt("entries", () => Rows.entries(readEntries.all(after, limit)))
    )
  })
})

const open = (file: string): DatabaseSync => {
  const database = new DatabaseSync(file, { timeout: waitMillis, readBigInts: true })
  try {
    database.exec("PRAGMA journal_mode = WAL")
    // A commit returns when it is on disk, so that it survives the machine too.
    database.exec("PRAGMA synchronous = FULL")
    database.exec(schema)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const schema = `
  BEGIN IMMEDIATE;
  CREATE TABLE IF NOT EXISTS store_fence (id INTEGER PRIMARY KEY CHECK (id = 1), token INTEGER NOT NULL) STRICT;
  INSERT INTO store_fence VALUES (1, 0) ON CONFLICT DO NOTHING;
  CREATE TABLE IF NOT EXISTS store_log (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, token INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS store_current (key TEXT PRIMARY KEY, value TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT;
  COMMIT;
`

class Busy {
  readonly _tag = "Busy"
}

/** Runs it again and again while another process has the lock. */
const attemptOn =
  (file: string) =>
  <A>(operation: StoreError["operation"], run: () => A): Effect.Effect<A, StoreError> => {
    const fail = (detail: string) => new StoreError({ store: `SQLite file ${file}`, operation, detail })
    return Effect.try({
      try: run,
      catch: (error) => (isBusy(error) ? new Busy() : fail(describe(error)))
    }).pipe(
      Effect.retry({
        schedule: Schedule.jittered(Schedule.spaced("20 millis")),
        while: (error) => error._tag === "Busy"
      }),
      Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(new Busy()) }),
      Effect.catchTag("Busy", () => {
        const held = `another process has held the file's lock for ${patience}; is one frozen in the middle of a write?`
        return Effect.fail(fail(held))
      })
    )
  }

const primaryCode = (error: unknown): number =>
  typeof error === "object" && error !== null && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode & 0xff
    : 0

// SQLITE_BUSY
const isBusy = (error: unknown): boolean => primaryCode(error) === 5

const describe = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  // SQLITE_CANTOPEN
  return primaryCode(error) === 14
    ? `${text}: its folder must exist, and this process must be allowed to write there`
    : text
}
