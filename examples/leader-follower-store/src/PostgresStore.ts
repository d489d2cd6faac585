/**
 * The store in PostgreSQL, for pods anywhere.
 *
 * Each write is one transaction that first updates the one row of the fence. That row stays locked until the commit, so
 * writes happen one after another whoever sends them, and the log's order is the order of their commits.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, Option, Redacted, Result } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import * as PostgresSocket from "./PostgresSocket.ts"
import * as Rows from "./Rows.ts"
import { type Outcome, RequestReused, StaleToken, Store, StoreError, type Write } from "./Store.ts"

export interface Options {
  /** `postgres://user:password@host:port/database` */
  readonly url: Redacted.Redacted
}

export const layer = (options: Options): Layer.Layer<Store, StoreError> =>
  Layer.effect(Store, make(options)).pipe(
    Layer.provide(
      PgClient.layer({
        url: options.url,
        applicationName: "leader-follower-store",
        startupParameters: sessionDefaults,
        stream: () => PostgresSocket.open(options.url)
      }).pipe(Layer.catchTag("SqlError", (error) => Layer.effectContext(Effect.fail(failure(options, "open", error)))))
    )
  )

export const sessionDefaults = {
  // An answered commit is on disk, whatever the server's default.
  synchronous_commit: "on",
  // A process that is frozen in the middle of a transaction holds the row of the fence. The server ends its session
  // before anybody else can be elected.
  idle_in_transaction_session_timeout: "3s",
  statement_timeout: "5s"
}

/** For one operation, whatever the network does; the server itself gives up a statement sooner. */
const patience = "10 seconds"

const make = Effect.fnUntraced(function* (options: Options) {
  const sql = yield* PgClient.PgClient

  const attempt = <A>(operation: StoreError["operation"], run: Effect.Effect<A, SqlError.SqlError>) =>
    run.pipe(
      // Without a connection even the rollback fails, which the client takes for a defect.
      Effect.catchDefect((defect) => (SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect))),
      Effect.mapError((error) => failure(options, operation, error)),
      unattached,
      Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(silence(options, operation)) })
    )

  /** The later statements of a transaction see what others have committed while the first one waited for the row. */
  const transaction = <A, E>(body: Effect.Effect<A, E>) =>
    sql
      .withTransaction(body)
      .pipe(Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL READ COMMITTED"))

  /** The token it is refused for, if the fence is higher already. */
  const raise = Effect.fnUntraced(function* (token: bigint) {
    const raised = yield* sql`UPDATE store_fence SET token = ${token} WHERE token <= ${token} RETURNING token`
    if (raised.length > 0) return undefined
    const [fence] = Rows.newest(yield* sql`SELECT token FROM store_fence`)
    return new StaleToken({ token, newest: fence.token })
  })

  const put = Effect.fnUntraced(function* (
    token: bigint,
    { id, key, value }: Write
  ): Effect.fn.Return<Outcome, SqlError.SqlError> {
    const stale = yield* raise(token)
    if (stale !== undefined) return Result.fail(stale)
    const [earlier] = Rows.logged(yield* sql`SELECT sequence, key, value FROM store_log WHERE id = ${id}`)
    if (earlier !== undefined) {
      return earlier.key === key && earlier.value === value
        ? Result.succeed({ sequence: earlier.sequence, isRepeated: true })
        : Result.fail(new RequestReused({ id, sequence: earlier.sequence }))
    }
    const [{ sequence }] = Rows.number(
      yield* sql`
      INSERT INTO store_log (sequence, id, token, key, value)
      SELECT coalesce(max(sequence), 0) + 1, ${id}, ${token}, ${key}, ${value} FROM store_log
      RETURNING sequence`
    )
    yield* sql`
      INSERT INTO store_current (key, value, sequence) VALUES (${key}, ${value}, ${BigInt(sequence)})
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, sequence = excluded.sequence`
    return Result.succeed({ sequence, isRepeated: false })
  })

  yield* attempt("open", transaction(createTables(sql)))

  return Store.of({
    raise: Effect.fn("Store.raise")((token) =>
      Effect.flatMap(attempt("raise", transaction(raise(token))), (stale) =>
        stale === undefined ? Effect.void : Effect.fail(stale)
      )
    ),

    put: Effect.fn("Store.put")((token, write) =>
      Effect.flatMap(attempt("put", transaction(put(token, write))), (outcome) => Effect.fromResult(outcome))
    ),

    get: Effect.fn("Store.get")((key) =>
      attempt(
        "get",
        Effect.map(sql`SELECT value, sequence FROM store_current WHERE key = ${key}`, (rows) =>
          Option.fromUndefinedOr(Rows.values(rows)[0])
        )
      )
    ),

    entries: Effect.fn("Store.entries")((after, limit) =>
      attempt(
        "entries",
        Effect.map(
          sql`
            SELECT sequence, id, token, key, value FROM store_log
            WHERE sequence > ${BigInt(after)} ORDER BY sequence LIMIT ${BigInt(limit)}`,
          Rows.entries
        )
      )
    )
  })
})

/**
 * Whoever is interrupted does not wait for it. The client begins, commits and rolls back uninterruptibly, and a connection
 * that went dead answers none of these. Whether a commit still counts is for the fence to say, and it is found again under
 * its id.
 */
const unattached = <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.forkDetach(run, { startImmediately: true }), (fiber) =>
    Effect.onInterrupt(Fiber.join(fiber), () => Effect.sync(() => fiber.interruptUnsafe()))
  )

const createTables = Effect.fnUntraced(function* (sql: PgClient.PgClient) {
  // IF NOT EXISTS alone fails when two sessions create a table at the same time, as pods do that start together.
  yield* sql`SELECT pg_advisory_xact_lock(hashtext('leader-follower-store'))`
  yield* sql`
    CREATE TABLE IF NOT EXISTS store_fence (id int PRIMARY KEY CHECK (id = 1), token bigint NOT NULL)`
  yield* sql`INSERT INTO store_fence VALUES (1, 0) ON CONFLICT DO NOTHING`
  yield* sql`
    CREATE TABLE IF NOT EXISTS store_log (
      sequence bigint PRIMARY KEY, id text NOT NULL UNIQUE, token bigint NOT NULL, key text NOT NULL, value text NOT NULL
    )`
  yield* sql`
    CREATE TABLE IF NOT EXISTS store_current (key text PRIMARY KEY, value text NOT NULL, sequence bigint NOT NULL)`
})

const failure = ({ url }: Options, operation: StoreError["operation"], { message, reason }: SqlError.SqlError) => {
  const cause = reason.cause instanceof Error && reason.cause.message !== message ? `: ${reason.cause.message}` : ""
  const rule = isUrl(url) ? "" : ": its URL reads postgres://user:password@host:port/database"
  return new StoreError({ store: nameOf(url), operation, detail: `${message}${cause}${rule}` })
}

const silence = ({ url }: Options, operation: StoreError["operation"]) =>
  new StoreError({ store: nameOf(url), operation, detail: `no answer within ${patience}` })

const isUrl = (url: Redacted.Redacted): boolean =>
  /^postgres(ql)?:$/.test(URL.parse(Redacted.value(url))?.protocol ?? "")

/** Says where the database is, and nothing of who may use it. */
const nameOf = (url: Redacted.Redacted): string => {
  if (!isUrl(url)) return "PostgreSQL"
  const { host, pathname } = new URL(Redacted.value(url))
  return `PostgreSQL at ${host}${pathname}`
}
