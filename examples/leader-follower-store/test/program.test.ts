/**
 * How the program ends when its settings make no sense.
 */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Child from "./Child.ts"

/** What a person reads who has set something wrong. */
const complaint = Effect.fnUntraced(function* (wrong: Readonly<Record<string, string>>) {
  const { code, output } = yield* Child.run("../src/main.ts", { ...(yield* Child.environment), ...wrong })
  assert.strictEqual(code, 1, output)
  const { level, message } = yield* Effect.orDie(Schema.decodeUnknownEffect(LastWords)(output))
  assert.strictEqual(level, "FATAL")
  return message
})

const LastWords = Schema.fromJsonString(Schema.Struct({ level: Schema.String, message: Schema.String }))

describe("the program", () => {
  layer(Layer.merge(NodeServices.layer, EmbeddedApiServer.layer({ users: "anyone" })), { excludeTestServices: true })(
    (it) => {
      it.effect("ends with a sentence and exit code 1 when the renew deadline is not below the lease duration", () =>
        Effect.gen(function* () {
          const message = yield* complaint({ LEASE_DURATION: "10", RENEW_DEADLINE: "10", RETRY_PERIOD: "2" })
          assert.match(message, /^invalid election settings:\n/)
          assert.match(message, /renewDeadline \(10 s\) must be shorter than .* leaseDuration \(10 s\)/)
        })
      )

      it.effect("takes the renew deadline by its older name, too", () =>
        Effect.gen(function* () {
          const message = yield* complaint({ LEASE_DURATION: "10", RENEWAL_DEADLINE: "12", RETRY_PERIOD: "2" })
          assert.match(message, /renewDeadline \(12 s\) must be shorter than .* leaseDuration \(10 s\)/)
        })
      )

      const table: ReadonlyArray<readonly [Readonly<Record<string, string>>, string]> = [
        [{ STORE: "mysql" }, 'STORE: "mysql" is not known: write sqlite or postgres'],
        [{ LOCK_KIND: "zookeeper" }, 'LOCK_KIND: "zookeeper" is no kind of lock: write lease, configmap, '],
        [{ HOST: "192.0.2.1" }, "cannot serve: listen EADDRNOTAVAIL: address not available 192.0.2.1:"]
      ]
      it.effect("ends so for other settings that make no sense", () =>
        Effect.forEach(
          table,
          ([wrong, expected]) =>
            Effect.map(complaint(wrong), (message) => assert.strictEqual(message.slice(0, expected.length), expected)),
          { concurrency: 2 }
        )
      )
    }
  )
})
