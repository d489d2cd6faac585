/**
 * Which database, by the environment: STORE=sqlite (the default) with STORE_FILE, or STORE=postgres with DATABASE_URL.
 */
import { Config, Effect, Layer, Option } from "effect"
import * as PostgresStore from "./PostgresStore.ts"
import { oneOf, WrongSetting } from "./Setting.ts"
import * as SqliteStore from "./SqliteStore.ts"
import type { Store, StoreError } from "./Store.ts"

const databaseUrl = Effect.gen(function* () {
  const url = yield* Config.option(Config.Redacted("DATABASE_URL"))
  const rule = "with STORE=postgres it has to be set: postgres://user:password@host:port/database"
  return Option.isSome(url) ? url.value : yield* new WrongSetting({ name: "DATABASE_URL", rule })
})

export const layer: Layer.Layer<Store, StoreError | WrongSetting | Config.ConfigError> = Layer.unwrap(
  Effect.gen(function* () {
    return (yield* oneOf("STORE", ["sqlite", "postgres"])) === "sqlite"
      ? SqliteStore.layer({ file: yield* Config.String("STORE_FILE").pipe(Config.withDefault("./store.db")) })
      : PostgresStore.layer({ url: yield* databaseUrl })
  })
)
