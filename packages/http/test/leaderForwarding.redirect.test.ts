/**
 * Clients that are sent to the leader instead, and go there themselves.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LeaderForwarding } from "../src/index.ts"
import { ask, notDone, outcome } from "./Client.ts"
import { echo } from "./Echo.ts"
import * as ScriptedElection from "./ScriptedElection.ts"
import * as Server from "./Server.ts"

describe("redirecting to the leader", () => {
  const start = Effect.fnUntraced(function* (identity: string) {
    const server = yield* Server.listen()
    const scripted = yield* ScriptedElection.make(identity, server.address)
    const middleware = LeaderForwarding.layerRedirect({ waitLimit: "300 millis" })
    const served = yield* server.serve(echo.pipe(Layer.provide(middleware), Layer.provide(scripted.layer)))
    return { ...scripted, ...served }
  })

  it.live("says where it is, and keeps method and body", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.lead(7n)
      yield* b.follow("a", a.address)
      const { headers, status } = yield* ask(`${b.url}/c?x=1+2&y=%2F`, { method: "POST", body: "x" })
      assert.deepStrictEqual([status, headers.get("location")], [307, `${a.url}/c?x=1+2&y=%2F`])
      assert.strictEqual(headers.get("cache-control"), "no-store")
      const followed = yield* ask(`${b.url}/c`, { method: "POST", body: "x", redirect: "follow" })
      assert.strictEqual(JSON.parse(followed.text).body, "x")
      yield* b.wait
      assert.deepStrictEqual(outcome(yield* ask(`${b.url}/c`)), notDone)
    })
  )
})
