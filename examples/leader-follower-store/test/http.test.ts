/**
 * What clients meet: the routes of the leader, and what they refuse.
 */
import { LeaseLock } from "@effect-leader/core"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger } from "effect"
import * as SqliteStore from "../src/SqliteStore.ts"
import * as Pods from "./Pods.ts"

const temporaryStore = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const folder = yield* Effect.orDie(files.makeTempDirectoryScoped({ prefix: "leader-follower-store-" }))
  return SqliteStore.layer({ file: `${folder}/store.db` })
})

const onePod = Effect.gen(function* () {
  const pod = yield* Pods.start("a", yield* temporaryStore)
  return yield* Pods.leader([pod])
}).pipe(Effect.provide(Layer.fresh(LeaseLock.layerMemory())))

describe("the leader", () => {
  layer(Layer.merge(NodeServices.layer, Logger.layer([])), { excludeTestServices: true })((it) => {
    it.effect("stores a value under a key, and reads it", () =>
      Effect.gen(function* () {
        const pod = yield* onePod
        const written = yield* Pods.put(pod, "colour", "green", "request-1")
        assert.strictEqual(written.status, 201)
        assert.deepStrictEqual(written.json, { key: "colour", sequence: 1, id: "request-1", token: "1" })
        const read = yield* Pods.ask(pod, "/keys/colour")
        assert.strictEqual(read.status, 200)
        assert.deepStrictEqual(read.json, { key: "colour", value: "green", sequence: 1 })
      })
    )

    it.effect("answers a write that is sent again with 200 and the same number", () =>
      Effect.gen(function* () {
        const pod = yield* onePod
        yield* Pods.put(pod, "colour", "green", "request-1")
        yield* Pods.put(pod, "colour", "red", "request-2")
        const again = yield* Pods.put(pod, "colour", "green", "request-1")
        assert.strictEqual(again.status, 200)
        assert.deepStrictEqual(again.json, { key: "colour", sequence: 1, id: "request-1", token: "1" })
        assert.deepStrictEqual((yield* Pods.ask(pod, "/keys/colour")).json, {
          key: "colour",
          value: "red",
          sequence: 2
        })

        const other = yield* Pods.put(pod, "colour", "blue", "request-1")
        assert.strictEqual(other.status, 422)
        assert.deepStrictEqual(other.json, {
          error: 'request id "request-1" was used for another write, number 1: give each write its own'
        })
      })
    )

    it.effect("takes every key and value that it says it takes, as they are", () =>
      Effect.gen(function* () {
        const pod = yield* onePod
        const keys = ["a/b", "a%2Fb", "ä ö", "a;b", "a?b#c", "100%", "...", "x".repeat(256), "𝄞", "key+plus", "log"]
        const values = ["", "\ufeffmark", "x".repeat(65_536), "ä".repeat(32_768), '{"json":true}', "line\r\nline"]
        for (const [index, key] of keys.entries()) {
          const value = values[index % values.length] ?? ""
          assert.strictEqual((yield* Pods.put(pod, key, value)).status, 201, key)
          const read = yield* Pods.ask(pod, `/keys/${encodeURIComponent(key)}`)
          assert.deepStrictEqual(read.json, { key, value, sequence: index + 1 })
        }
      })
    )

    it.effect("pages through the log", () =>
      Effect.gen(function* () {
        const pod = yield* onePod
        for (const id of ["1", "2", "3"]) yield* Pods.put(pod, "k", `v${id}`, id)
        const entry = (id: string) => ({ sequence: Number(id), id, token: "1", key: "k", value: `v${id}` })
        assert.deepStrictEqual((yield* Pods.ask(pod, "/log")).json, { entries: [entry("1"), entry("2"), entry("3")] })
        assert.deepStrictEqual((yield* Pods.ask(pod, "/log?after=1&limit=1")).json, { entries: [entry("2")] })
        assert.deepStrictEqual((yield* Pods.ask(pod, "/log?after=3")).json, { entries: [] })
      })
    )

    it.effect("refuses what makes no sense, and says what would", () =>
      Effect.gen(function* () {
        const pod = yield* onePod
        const put = (
          path: string,
          body: string | Uint8Array<ArrayBuffer> = "v",
          headers: Record<string, string> = {}
        ) => Pods.ask(pod, path, { method: "PUT", body, headers })
        const notUtf8 = new Uint8Array([0x61, 0xff])
        const idRule = "Idempotency-Key has 1 to 128 visible ASCII characters without spaces, such as a UUID"
        const afterRule = "after is a whole number from 0 on: the sequence number of the last entry you have"
        const limitRule = "limit is a whole number from 1 to 1000"
        const keyRule = "a key has 1 to 256 characters, none of them NUL"
        const table: ReadonlyArray<readonly [Effect.Effect<Pods.Answer, Pods.NoAnswer>, number, string]> = [
          [put(`/keys/${"x".repeat(257)}`), 400, keyRule],
          [put("/keys/a%00b"), 400, keyRule],
          [Pods.ask(pod, `/keys/${"x".repeat(8000)}`), 400, keyRule],
          [put("/keys/a;b"), 400, "a semicolon in a path is written %3B"],
          [put("/keys/100%"), 400, "the path is not percent-encoded UTF-8; a percent sign itself is written %25"],
          [put("/keys/%ff"), 400, "the path is not percent-encoded UTF-8; a percent sign itself is written %25"],
          [put("/keys/a", "x".repeat(65_537)), 413, "a value has at most 65536 bytes"],
          [put("/keys/a", "ä".repeat(32_769)), 413, "a value has at most 65536 bytes"],
          [put("/keys/a", notUtf8), 400, "a value is text in UTF-8, and this is not"],
          [put("/keys/a", "a\u0000b"), 400, "a value has no NUL character"],
          [put("/keys/a", "v", { "idempotency-key": "x".repeat(129) }), 400, idRule],
          [put("/keys/a", "v", { "idempotency-key": "a b" }), 400, idRule],
          [put("/keys/a", "v", { "idempotency-key": "" }), 400, idRule],
          [Pods.ask(pod, "/log?after=-1"), 400, afterRule],
          [Pods.ask(pod, "/log?after=1.5"), 400, afterRule],
          [Pods.ask(pod, "/log?after="), 400, afterRule],
          [Pods.ask(pod, "/log?after=1&after=2"), 400, afterRule],
          [Pods.ask(pod, "/log?after=99999999999999999999"), 400, afterRule],
          [Pods.ask(pod, "/log?limit=0"), 400, limitRule],
          [Pods.ask(pod, "/log?limit=1001"), 400, limitRule],
          [Pods.ask(pod, "/log?limit=all"), 400, limitRule],
          [Pods.ask(pod, "/keys/absent"), 404, "nothing is stored under absent"]
        ]
        for (const [request, status, error] of table) {
          const answer = yield* request
          assert.deepStrictEqual({ status: answer.status, json: answer.json }, { status, json: { error } })
        }
        assert.deepStrictEqual((yield* Pods.ask(pod, "/log")).json, { entries: [] })
      })
    )
  })
})
