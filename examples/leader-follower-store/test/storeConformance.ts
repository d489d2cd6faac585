/**
 * What every store promises, whichever database it is.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, type Vitest } from "@effect/vitest"
import { type Context, Effect, Option, Random, type Scope } from "effect"
import { RequestReused, StaleToken, type Store, type StoreError, type Write } from "../src/Store.ts"
import * as Child from "./Child.ts"

/** An empty database. */
export interface Database {
  /** A connection of its own, as a pod has one. */
  readonly connect: Effect.Effect<Context.Service.Shape<typeof Store>, StoreError, Scope.Scope>
  /** The environment in which a program finds this database. */
  readonly env: Readonly<Record<string, string>>
  /** A process writes `writer-1`, and is killed when that is all done but not committed. */
  readonly dieBeforeCommit: Effect.Effect<void, never, Scope.Scope>
}

const write = (number: number, more: Partial<Write> = {}): Write => ({
  id: `request-${number}`,
  key: `key-${number % 5}`,
  value: `value ${number}`,
  ...more
})

const everything = (store: Context.Service.Shape<typeof Store>) => store.entries(0, 100_000)

/** The log is numbered without gaps, and each key has the value that was written last. */
const checkIntegrity = Effect.fnUntraced(function* (store: Context.Service.Shape<typeof Store>) {
  const log = yield* everything(store)
  assert.deepStrictEqual(
    log.map(({ sequence }) => sequence),
    log.map((_, index) => index + 1)
  )
  const last = new Map(log.map(({ key, sequence, value }) => [key, { sequence, value }]))
  for (const [key, value] of last) assert.deepStrictEqual(yield* store.get(key), Option.some(value))
  return log
})

export const conformance = <R>(
  it: Vitest.MethodsNonLive<R>,
  fresh: Effect.Effect<Database, never, R | Scope.Scope>
): void => {
  it.effect("reads what was written, over every connection", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const [a, b] = [yield* connect, yield* connect]
      assert.deepStrictEqual(yield* a.get("k"), Option.none())

      const values = [
        "one",
        "",
        "ünï → 𝄞",
        "\ufeffwith a mark",
        "x".repeat(65_536),
        'it\'s "quoted"; -- and $1 ? :token'
      ]
      for (const [index, value] of values.entries()) {
        const committed = yield* a.put(1n, { id: `${index}`, key: "k", value })
        assert.deepStrictEqual(committed, { sequence: index + 1, isRepeated: false })
        assert.deepStrictEqual(yield* b.get("k"), Option.some({ sequence: index + 1, value }))
      }
      assert.deepStrictEqual(
        (yield* everything(b)).map(({ value }) => value),
        values
      )
    })
  )

  it.effect("pages through the log in its order", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const store = yield* connect
      for (let number = 1; number <= 7; number++) yield* store.put(3n, write(number))

      assert.deepStrictEqual(yield* store.entries(0, 1), [{ sequence: 1, token: 3n, ...write(1) }])
      const numbers = (after: number, limit: number) =>
        Effect.map(store.entries(after, limit), (page) => page.map(({ sequence }) => sequence))
      assert.deepStrictEqual(yield* numbers(2, 3), [3, 4, 5])
      assert.deepStrictEqual(yield* numbers(5, 3), [6, 7])
      assert.deepStrictEqual(yield* numbers(7, 3), [])
      assert.deepStrictEqual(yield* numbers(Number.MAX_SAFE_INTEGER, 3), [])
    })
  )

  it.effect("refuses a write whose token is older than the newest it has seen, and says both", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const [old, next] = [yield* connect, yield* connect]
      yield* old.put(5n, write(1))
      yield* next.put(9n, write(2))

      const refused = yield* Effect.flip(old.put(5n, write(3)))
      assert.deepStrictEqual(refused, new StaleToken({ token: 5n, newest: 9n }))
      // Nor does it acknowledge again what it wrote itself, in its time.
      assert.instanceOf(yield* Effect.flip(old.put(5n, write(1))), StaleToken)
      yield* next.put(9n, write(4))

      const log = yield* checkIntegrity(old)
      assert.deepStrictEqual(
        log.map(({ id, token }) => [id, token]),
        [
          ["request-1", 5n],
          ["request-2", 9n],
          ["request-4", 9n]
        ]
      )
      assert.deepStrictEqual(yield* next.get(write(3).key), Option.none())
    })
  )

  it.effect("shuts an older term out as soon as a newer one has raised the fence, before its first write", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const [old, next] = [yield* connect, yield* connect]
      yield* old.raise(5n)
      yield* next.raise(9n)
      yield* next.raise(9n)

      assert.deepStrictEqual(yield* Effect.flip(old.put(5n, write(1))), new StaleToken({ token: 5n, newest: 9n }))
      assert.deepStrictEqual(yield* Effect.flip(old.raise(8n)), new StaleToken({ token: 8n, newest: 9n }))
      assert.deepStrictEqual(yield* everything(next), [])
    })
  )

  it.effect("compares tokens exactly, beyond the numbers of JavaScript", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const store = yield* connect
      const great = 2n ** 53n
      yield* store.put(great + 1n, write(1))
      assert.deepStrictEqual(
        yield* Effect.flip(store.put(great, write(2))),
        new StaleToken({ token: great, newest: great + 1n })
      )
      yield* store.put(2n ** 63n - 1n, write(3))
      assert.deepStrictEqual(
        (yield* everything(store)).map(({ token }) => token),
        [great + 1n, 2n ** 63n - 1n]
      )
    })
  )

  it.effect("knows a request again: it is there once, and has one number", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const [a, b] = [yield* connect, yield* connect]
      yield* a.put(1n, write(1))
      const first = yield* a.put(1n, write(2))
      yield* a.put(1n, write(3, { key: write(2).key, value: "newer" }))

      assert.deepStrictEqual(yield* a.put(1n, write(2)), { ...first, isRepeated: true })
      // A client that got no answer comes back under the next leader.
      assert.deepStrictEqual(yield* b.put(4n, write(2)), { ...first, isRepeated: true })

      assert.deepStrictEqual(yield* b.get(write(2).key), Option.some({ sequence: 3, value: "newer" }))
      assert.strictEqual((yield* checkIntegrity(b)).length, 3)
    })
  )

  it.effect("refuses another write under the id of an earlier one", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const store = yield* connect
      yield* store.put(1n, write(1))
      const reused = new RequestReused({ id: "request-1", sequence: 1 })
      assert.deepStrictEqual(yield* Effect.flip(store.put(1n, write(1, { value: "other" }))), reused)
      assert.deepStrictEqual(yield* Effect.flip(store.put(1n, write(1, { key: "other" }))), reused)
      assert.strictEqual((yield* checkIntegrity(store)).length, 1)
    })
  )

  it.effect("takes writes from many at once, each of them once and in one order that all read", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const stores = yield* Effect.all([connect, connect, connect, connect])
      // Every request comes over two connections at the same time.
      const answers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, index) => index),
        (index) => {
          const store = stores[index % 4] ?? stores[0]
          const request = write(Math.floor(index / 2))
          return Effect.map(store.put(1n, request), ({ sequence }) => `${request.id} is ${sequence}`)
        },
        { concurrency: "unbounded" }
      )

      const log = yield* checkIntegrity(stores[0])
      assert.strictEqual(log.length, 100)
      const numbered = new Set(log.map(({ id, sequence }) => `${id} is ${sequence}`))
      assert.deepStrictEqual(numbered, new Set(answers))
      for (const store of stores) assert.deepStrictEqual(yield* everything(store), log)
    })
  )

  it.effect("lets no older term write after a newer one, however their writes race", () =>
    Effect.gen(function* () {
      const { connect } = yield* fresh
      const terms = yield* Effect.forEach([1n, 2n, 3n], (token) => Effect.map(connect, (store) => ({ store, token })))
      const reader = yield* connect
      const acknowledged: Array<string> = []
      const refused: Array<string> = []
      yield* Effect.forEach(
        terms,
        Effect.fnUntraced(function* ({ store, token }) {
          yield* Effect.sleep(`${Number(token) * 20} millis`)
          for (let number = 0; number < 40; number++) {
            const id = `${token}-${number}`
            const outcome = yield* Effect.result(store.put(token, write(number, { id })))
            if (outcome._tag === "Success") acknowledged.push(id)
            else if (outcome.failure._tag === "StaleToken") refused.push(id)
            else return yield* outcome.failure
            yield* Effect.sleep(`${yield* Random.nextIntBetween(0, 3)} millis`)
          }
        }),
        { concurrency: "unbounded", discard: true }
      )

      const log = yield* checkIntegrity(reader)
      const tokens = log.map(({ token }) => Number(token))
      assert.deepStrictEqual(
        tokens,
        tokens.toSorted((a, b) => a - b)
      )
      assert.deepStrictEqual(new Set(log.map(({ id }) => id)), new Set(acknowledged))
      assert.strictEqual(acknowledged.length + refused.length, 120)
      assert.isAbove(refused.length, 0)
    })
  )

  it.effect(
    "has nothing of a write whose process was killed before the commit",
    () =>
      Effect.gen(function* () {
        const { connect, dieBeforeCommit } = yield* fresh
        const before = yield* connect
        yield* before.put(1n, write(1))
        yield* dieBeforeCommit

        const after = yield* connect
        assert.strictEqual((yield* checkIntegrity(after)).length, 1)
        assert.deepStrictEqual(yield* after.get("key-1"), yield* before.get("key-1"))
        // Its client, who has got no answer, tries again.
        const retried = yield* after.put(2n, { id: "writer-1", key: "key-1", value: "value 1" })
        assert.deepStrictEqual(retried, { sequence: 2, isRepeated: false })
      }),
    60_000
  )

  it.effect(
    "has everything that was acknowledged when the processes that write are killed, and nothing in part",
    () =>
      Effect.gen(function* () {
        const { connect, env } = yield* fresh
        const acknowledged = yield* Effect.forEach(
          [1, 30, 60, 90],
          (lines) => Child.killAfter(lines, "./writer.ts", { ...env, WRITER: `w${lines}` }),
          { concurrency: 2 }
        )

        const ids = new Set((yield* checkIntegrity(yield* connect)).map(({ id }) => id))
        assert.isAtLeast(acknowledged.flat().length, 181)
        assert.deepStrictEqual(
          acknowledged.flat().filter((id) => !ids.has(id)),
          []
        )
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )
}
