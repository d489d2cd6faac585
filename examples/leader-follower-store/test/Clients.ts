/**
 * Clients as the README tells them to be: they send a write to any pod, and send it again under the same id until it is
 * acknowledged. In the end they compare what was acknowledged with what the pods have.
 */
import { assert } from "@effect/vitest"
import { Effect, Random, Schema } from "effect"
import * as Pods from "./Pods.ts"

export interface Clients {
  /** Returns once write number `number` is acknowledged. */
  readonly write: (number: number) => Effect.Effect<void>
  /** How many are. */
  readonly count: () => number
  /** Every acknowledged write is there, once, under the number that was answered, and nothing else; on all these pods. */
  readonly check: (pods: ReadonlyArray<Pods.Place>) => Effect.Effect<{ readonly terms: number }, Pods.NoAnswer>
}

/** `pods` is asked for each attempt. */
export const make = (pods: () => ReadonlyArray<Pods.Place>): Clients => {
  const acknowledged = new Map<string, number>()

  const attempt = Effect.fnUntraced(function* (number: number) {
    const id = `request-${number}`
    const pod = yield* Random.choice(pods())
    const answer = yield* Pods.put(pod, `key-${number % 20}`, `value ${number}`, id)
    if (answer.status >= 500) return false
    const { sequence } = yield* Effect.orDie(Schema.decodeUnknownEffect(Acknowledged)(answer.json))
    acknowledged.set(id, sequence)
    return true
  })

  return {
    // A pod that was frozen takes the connection, and does not answer.
    write: (number) =>
      attempt(number).pipe(
        Effect.timeout("1 second"),
        Effect.catch(() => Effect.succeed(false)),
        Effect.tap((isDone) => (isDone ? Effect.void : Effect.sleep("20 millis"))),
        Effect.repeat({ until: (isDone) => isDone }),
        Effect.asVoid
      ),
    count: () => acknowledged.size,
    check: Effect.fnUntraced(function* (pods) {
      const logs = yield* Effect.forEach(pods, Pods.readLog)
      const [log = []] = logs
      for (const other of logs) assert.deepStrictEqual(other, log)
      assert.deepStrictEqual(
        log.map(({ sequence }) => sequence),
        log.map((_, index) => index + 1)
      )
      assert.strictEqual(log.length, acknowledged.size)
      assert.deepStrictEqual(new Map(log.map(({ id, sequence }) => [id, sequence])), acknowledged)
      const tokens = log.map(({ token }) => BigInt(token))
      assert.isTrue(tokens.every((token, index) => index === 0 || token >= (tokens[index - 1] ?? 0n)))
      return { terms: new Set(tokens).size }
    })
  }
}

const Acknowledged = Schema.Struct({ sequence: Schema.Int })
