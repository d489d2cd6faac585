/**
 * What a person reads who has set something wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { oneOf, say } from "../src/Setting.ts"
import * as StoreConfig from "../src/StoreConfig.ts"

const withEnvironment = (environment: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))

describe("a setting", () => {
  it.effect("is the first of its words when it is not set", () =>
    Effect.gen(function* () {
      const setting = oneOf("FOLLOWER_WRITES", ["forward", "redirect"])
      assert.strictEqual(yield* setting.pipe(withEnvironment({})), "forward")
      assert.strictEqual(yield* setting.pipe(withEnvironment({ FOLLOWER_WRITES: "" })), "forward")
      assert.strictEqual(yield* setting.pipe(withEnvironment({ FOLLOWER_WRITES: "redirect" })), "redirect")
    })
  )

  it.effect("that is none of its words is told with those", () =>
    Effect.gen(function* () {
      for (const text of ["drop", "Forward"]) {
        const error = yield* oneOf("FOLLOWER_WRITES", ["forward", "redirect"]).pipe(
          withEnvironment({ FOLLOWER_WRITES: text }),
          Effect.flip
        )
        assert.strictEqual(say(error), `FOLLOWER_WRITES: "${text}" is not known: write forward or redirect`)
      }
    })
  )

  it.effect("that is missing is told with what it looks like", () =>
    Effect.gen(function* () {
      const error = yield* Layer.build(StoreConfig.layer).pipe(withEnvironment({ STORE: "postgres" }), Effect.flip)
      assert.strictEqual(
        say(error),
        "DATABASE_URL: with STORE=postgres it has to be set: postgres://user:password@host:port/database"
      )
    })
  )

  it.effect("of the election is told by its name", () =>
    Effect.gen(function* () {
      const error = yield* Layer.build(LeaderElection.layerConfig()).pipe(
        Effect.provide(LeaseLock.layerMemory()),
        withEnvironment({ LEASE_DURATION: "long" }),
        Effect.flip
      )
      assert.match(say(error), /^LEASE_DURATION: "long" is no duration: write seconds/)
    })
  )
})
