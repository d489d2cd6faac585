/**
 * The store on a real PostgreSQL server.
 */
import { LeaseLock } from "@effect-leader/core"
import { PgClient } from "@effect/sql-pg"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Option, Redacted, Schedule, Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import * as Net from "node:net"
import { inspect } from "node:util"
import * as PostgresStore from "../src/PostgresStore.ts"
import { Store, StoreError } from "../src/Store.ts"
import * as Child from "./Child.ts"
import * as Pods from "./Pods.ts"
import * as PostgresServer from "./PostgresServer.ts"
import { conformance, type Database } from "./storeConformance.ts"
import { thousandWrites } from "./thousandWrites.ts"

const connect = (url: Redacted.Redacted) =>
  Effect.map(Layer.build(Layer.fresh(PostgresStore.layer({ url }))), (context) => Context.get(context, Store))

const administrate = (url: Redacted.Redacted) =>
  Effect.orDie(
    Effect.map(Layer.build(Layer.fresh(PgClient.layer({ url }))), (context) => Context.get(context, PgClient.PgClient))
  )

const database = Effect.flatMap(PostgresServer.PostgresServer, ({ database }) => database)

const fresh = Effect.map(database, (url): Database => {
  const env = { STORE: "postgres", DATABASE_URL: Redacted.value(url) }
  return {
    connect: connect(url),
    env,
    // Its transaction stands still when all is written, and there it is killed.
    dieBeforeCommit: Effect.gen(function* () {
      const sql = yield* administrate(url)
      yield* sql`
        CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$`
      yield* sql`
        CREATE TRIGGER stand_still AFTER INSERT OR UPDATE ON store_current FOR EACH STATEMENT
        EXECUTE FUNCTION stand_still()`
      const scope = yield* Scope.make()
      const child = yield* Scope.provide(Child.command("./writer.ts", env), scope)
      const standing = sql`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`
      yield* Effect.repeat(standing, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("20 millis") })
      process.kill(child.pid, "SIGKILL")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.repeat(standing, { until: (rows) => rows.length === 0, schedule: Schedule.spaced("20 millis") })
      yield* sql`DROP TRIGGER stand_still ON store_current`
    }).pipe(Effect.provide(NodeServices.layer), Effect.orDie)
  }
})

/** A way to the server whose connections can go dead: none is closed, and nothing comes through any more. */
const wayTo = Effect.fnUntraced(function* (port: number) {
  const sockets = new Set<Net.Socket>()
  const dead = new Set<Net.Socket>()
  const proxy = Net.createServer((client) => {
    const server = Net.connect(port, "127.0.0.1")
    for (const [from, to] of [
      [client, server],
      [server, client]
    ] as const) {
      sockets.add(from)
      from.on("error", () => {})
      from.on("data", (bytes) => dead.has(from) || to.write(bytes))
      from.on("close", () => to.destroy())
    }
  })
  yield* Effect.callback<void>((resume) => {
    proxy.listen(0, "127.0.0.1", () => resume(Effect.void))
  })
  const end = Effect.sync(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  const address = proxy.address()
  const goDead = Effect.sync(() => {
    for (const socket of sockets) dead.add(socket)
  })
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, goDead, end }
})

describe("the PostgreSQL store", () => {
  layer(PostgresServer.layer, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    conformance(it, fresh)

    it.effect("opens in several pods that start at the same time", () =>
      Effect.gen(function* () {
        const url = yield* database
        const stores = yield* Effect.forEach([1, 2, 3, 4, 5], () => connect(url), { concurrency: "unbounded" })
        assert.lengthOf(stores, 5)
      })
    )

    it.effect("gets the fence back from a leader that was frozen in the middle of a write", () =>
      Effect.gen(function* () {
        const url = yield* database
        const next = yield* connect(url)
        const sql = yield* administrate(url)
        // As a frozen process leaves it: its session has the row, and says nothing more.
        const frozen = yield* Effect.forkChild(
          Effect.scoped(
            Effect.gen(function* () {
              const own = yield* PgClient.make({ url, startupParameters: PostgresStore.sessionDefaults })
              yield* own.withTransaction(Effect.andThen(own`UPDATE store_fence SET token = 1`, Effect.never))
            })
          ).pipe(Effect.provide(Reactivity.layer)),
          { startImmediately: true }
        )
        const held = sql`SELECT 1 FROM pg_locks WHERE relation = 'store_fence'::regclass AND mode = 'RowExclusiveLock'`
        yield* Effect.repeat(held, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("20 millis") })

        yield* next.raise(2n)
        assert.deepStrictEqual(yield* next.put(2n, { id: "1", key: "k", value: "v" }), {
          sequence: 1,
          isRepeated: false
        })
        yield* Fiber.interrupt(frozen)
      })
    )

    it.effect("fails while the server is away, and has everything that was acknowledged when it is back", () =>
      Effect.gen(function* () {
        const server = yield* PostgresServer.PostgresServer
        const store = yield* connect(yield* server.database)
        const acknowledged: Array<string> = []
        const writing = yield* Effect.forEach(
          Array.from({ length: 10_000 }, (_, number) => `${number}`),
          (id) =>
            Effect.map(store.put(1n, { id, key: id, value: id }), () => {
              acknowledged.push(id)
            }),
          { discard: true, concurrency: 3 }
        ).pipe(Effect.forkChild({ startImmediately: true }))
        yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => acknowledged.length >= 100 })
        yield* server.crash

        assert.instanceOf(yield* Effect.flip(Fiber.join(writing)), StoreError)
        assert.instanceOf(yield* Effect.flip(store.put(1n, { id: "x", key: "x", value: "x" })), StoreError)
        assert.instanceOf(yield* Effect.flip(store.get("1")), StoreError)

        yield* server.start
        const log = yield* store.entries(0, 10_000)
        const ids = new Set(log.map(({ id }) => id))
        assert.deepStrictEqual(
          acknowledged.filter((id) => !ids.has(id)),
          []
        )
        assert.isAtMost(log.length, acknowledged.length + 3)
        assert.strictEqual((yield* store.put(1n, { id: "y", key: "y", value: "y" })).sequence, log.length + 1)
      })
    )

    it.effect("keeps nobody waiting whom connections that went dead do not answer, and makes new ones", () =>
      Effect.gen(function* () {
        const url = new URL(Redacted.value(yield* database))
        const way = yield* wayTo(Number(url.port))
        yield* Effect.addFinalizer(() => way.end)
        url.port = String(way.port)
        const scope = yield* Scope.make()
        const store = yield* Scope.provide(connect(Redacted.make(url.href)), scope)
        // Over a connection each.
        const both = ["1", "2"].map((id) => store.put(1n, { id, key: "k", value: "v" }))
        yield* Effect.all(both, { concurrency: "unbounded" })
        yield* way.goDead
        const put = yield* Effect.forkChild(store.put(1n, { id: "3", key: "k", value: "w" }), {
          startImmediately: true
        })
        const raise = yield* Effect.forkChild(Effect.flip(store.raise(1n)), { startImmediately: true })
        yield* Effect.sleep("1 second")
        // As the end of a term does, which would overrun.
        assert.isTrue(Option.isSome(yield* Effect.timeoutOption(Fiber.interrupt(put), "3 seconds")))
        const error = yield* Effect.timeoutOption(Fiber.join(raise), "20 seconds")
        assert.instanceOf(Option.getOrThrow(error), StoreError)

        const again = store.put(1n, { id: "4", key: "k", value: "x" })
        yield* Effect.retry(again, Schedule.spaced("100 millis"))
        // All are dead, and it closes all the same.
        yield* way.goDead
        yield* Effect.forkChild(store.raise(1n), { startImmediately: true })
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        assert.isTrue(Option.isSome(yield* Effect.timeoutOption(Fiber.join(closing), "30 seconds")))
      })
    )

    it.effect("says where the database should be, and no password, when it cannot open it", () =>
      Effect.gen(function* () {
        const port = new URL(Redacted.value(yield* database)).port
        const refused = yield* Effect.flip(connect(Redacted.make(`postgres://tester:secret@127.0.0.1:${port}/absent`)))
        assert.include(refused.message, `PostgreSQL at 127.0.0.1:${port}/absent: open failed`)
        assert.include(refused.message, "password authentication failed")

        const away = yield* Effect.flip(connect(Redacted.make("postgres://tester:secret@127.0.0.1:1/absent")))
        assert.include(away.message, "PostgreSQL at 127.0.0.1:1/absent: open failed")
        assert.include(away.message, "ECONNREFUSED")

        const nonsense = yield* Effect.flip(connect(Redacted.make("tester:secret@nowhere")))
        assert.include(nonsense.message, "PostgreSQL: open failed")
        assert.include(nonsense.message, "postgres://user:password@host:port/database")

        for (const error of [refused, away, nonsense]) assert.notInclude(inspect(error, { depth: 10 }), "secret")
      })
    )

    it.effect(
      "has every one of 1,000 acknowledged writes once, in one order, while leaders resign and pods restart",
      () =>
        Effect.gen(function* () {
          const store = PostgresStore.layer({ url: yield* database })
          const pods = yield* Effect.forEach(["a", "b", "c"], (name) => Pods.start(name, store))
          yield* thousandWrites(pods, store)
        }).pipe(Effect.provide(Layer.mergeAll(Layer.fresh(LeaseLock.layerMemory()), Logger.layer([])))),
      120_000
    )
  })
})
