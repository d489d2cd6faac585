import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"
import * as SqliteStore from "../src/SqliteStore.ts"
import { Store } from "../src/Store.ts"
import * as Child from "./Child.ts"
import { conformance, type Database } from "./storeConformance.ts"

const connect = (file: string) =>
  Effect.map(Layer.build(Layer.fresh(SqliteStore.layer({ file }))), (context) => Context.get(context, Store))

const temporaryFile = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  return `${yield* Effect.orDie(files.makeTempDirectoryScoped({ prefix: "leader-follower-store-" }))}/store.db`
})

const fresh = Effect.map(temporaryFile, (file): Database => {
  const env = { STORE: "sqlite", STORE_FILE: file }
  return {
    connect: connect(file),
    env,
    dieBeforeCommit: Child.run("./writer.ts", { ...env, DIE_AT_COMMIT: "yes" }).pipe(
      Effect.map(({ code, output }) => {
        assert.deepStrictEqual({ code, output }, { code: undefined, output: "" })
      }),
      Effect.provide(NodeServices.layer),
      Effect.orDie
    )
  }
})

describe("the SQLite store", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    conformance(it, fresh)

    it.effect("lets its readers read while another process is in the middle of a write", () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* connect(file)
        yield* store.put(1n, { id: "1", key: "k", value: "v" })
        const other = yield* opened(file)
        other.exec("BEGIN IMMEDIATE; DELETE FROM store_log")
        assert.strictEqual((yield* store.entries(0, 10)).length, 1)
      })
    )

    it.effect("comes back for the lock of another process, and does not stand still meanwhile", () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* connect(file)
        const other = yield* opened(file)
        other.exec("BEGIN IMMEDIATE")
        const writing = yield* Effect.forkChild(store.put(1n, { id: "1", key: "k", value: "v" }), {
          startImmediately: true
        })
        // As the renewals of a lease.
        yield* Effect.repeat(Effect.sleep("10 millis"), { times: 20 })
        assert.isUndefined(writing.pollUnsafe())
        other.exec("ROLLBACK")
        assert.deepStrictEqual(yield* Fiber.join(writing), { sequence: 1, isRepeated: false })
      })
    )

    it.effect("gives up when a lock is held for ever, and says what may be wrong", () =>
      Effect.gen(function* () {
        const file = yield* temporaryFile
        const store = yield* connect(file)
        const other = yield* opened(file)
        other.exec("BEGIN IMMEDIATE")
        const error = yield* Effect.flip(store.raise(1n))
        assert.strictEqual(
          error.message,
          `SQLite file ${file}: raise failed: another process has held the file's lock for 5 seconds; is one frozen in the middle of a write?`
        )
      })
    )

    it.effect("says what is missing when it cannot open its file", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(connect("/nowhere/at/all/store.db"))
        assert.strictEqual(
          error.message,
          "SQLite file /nowhere/at/all/store.db: open failed: unable to open database file: its folder must exist, " +
            "and this process must be allowed to write there"
        )
      })
    )

    it.effect("does not take a file that is no database for one", () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const file = yield* temporaryFile
        yield* files.writeFileString(file, "These are my notes. ".repeat(100))
        const error = yield* Effect.flip(connect(file))
        assert.include(error.message, "file is not a database")
        assert.include(yield* files.readFileString(file), "These are my notes.")
      })
    )
  })
})

const opened = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (database) => Effect.sync(() => database.close())
  )
