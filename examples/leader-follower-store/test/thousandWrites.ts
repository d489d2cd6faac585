/**
 * 1,000 writes to random pods, while with every hundredth the leader resigns, or its pod is stopped and started again.
 */
import { assert } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { Store, StoreError } from "../src/Store.ts"
import * as Clients from "./Clients.ts"
import * as Pods from "./Pods.ts"

export const thousandWrites = Effect.fnUntraced(function* (
  first: ReadonlyArray<Pods.Pod>,
  store: Layer.Layer<Store, StoreError>
) {
  let pods = first
  const clients = Clients.make(() => pods)

  // With every hundredth write somebody has to go.
  const upheaval = Effect.gen(function* () {
    for (let round = 1; round < 10; round++) {
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => clients.count() >= round * 100 })
      const leader = yield* Pods.leader(pods)
      if (round % 3 !== 0) {
        yield* leader.election.resign
        continue
      }
      yield* leader.stop
      const restarted = yield* Pods.start(leader.name, store)
      pods = pods.map((one) => (one === leader ? restarted : one))
    }
  })

  const numbers = Array.from({ length: 1000 }, (_, index) => index)
  yield* Effect.all(
    [
      upheaval,
      Effect.forEach(numbers, clients.write, {
        concurrency: 6,
        discard: true
      })
    ],
    { concurrency: 2 }
  )

  const { terms } = yield* clients.check(pods)
  assert.isAbove(terms, 3)
})
