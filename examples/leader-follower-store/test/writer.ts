/**
 * Writes to the store of its environment, one write after another, until it is killed or nobody listens any more. It
 * says the id of each write once that is acknowledged. Its ids begin with WRITER, or `writer`.
 *
 * With DIE_AT_COMMIT it kills itself when a SQLite transaction has written everything and is about to commit.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { Store } from "../src/Store.ts"
import * as StoreConfig from "../src/StoreConfig.ts"

process.stdout.on("error", () => process.exit())

const dieAtCommit = Effect.sync(() => {
  const exec = DatabaseSync.prototype.exec
  DatabaseSync.prototype.exec = function (sql) {
    if (sql === "COMMIT") process.kill(process.pid, "SIGKILL")
    exec.call(this, sql)
  }
})

Effect.gen(function* () {
  const store = yield* Store
  if (process.env["DIE_AT_COMMIT"] !== undefined) yield* dieAtCommit
  for (let number = 1; ; number++) {
    const id = `${process.env["WRITER"] ?? "writer"}-${number}`
    yield* store.put(1n, { id, key: `key-${number % 7}`, value: `value ${number}` })
    yield* Console.log(id)
  }
}).pipe(Effect.provide(StoreConfig.layer), NodeRuntime.runMain)
