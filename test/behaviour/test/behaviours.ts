/**
 * The 48 behaviour cases of guides/kubernetes.md as one table of tests, on whichever API server. All are played at the
 * same time, each on a Lease of its own, since they mostly wait; then each test tells the outcome of one.
 */
import { KubernetesClient } from "@effect-leader/kubernetes"
import { assert, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"
import { cases1to12 } from "../src/Cases1to12.ts"
import { cases13to24 } from "../src/Cases13to24.ts"
import { cases25to36 } from "../src/Cases25to36.ts"
import { cases37to48 } from "../src/Cases37to48.ts"
import { play } from "../src/Scene.ts"

const table = [...cases1to12, ...cases13to24, ...cases25to36, ...cases37to48]
const differing = table.filter(({ differs }) => differs !== undefined)

class Outcomes extends Context.Service<Outcomes, ReadonlyMap<number, Exit.Exit<void, unknown>>>()(
  "@effect-leader/test-behaviour/Outcomes"
) {}

const outcomes = (server: string) =>
  Layer.effect(
    Outcomes,
    Effect.gen(function* () {
      const begunAt = performance.now()
      const outcomes = yield* Effect.forEach(
        table,
        (behaviour) => Effect.map(Effect.exit(play(behaviour)), (exit) => [behaviour.number, exit] as const),
        { concurrency: "unbounded" }
      )
      const held = outcomes.filter(([, exit]) => Exit.isSuccess(exit)).length
      const seconds = ((performance.now() - begunAt) / 1000).toFixed(1)
      yield* Console.log(
        `behaviour cases on ${server}: ${held} of ${table.length} hold, in ${seconds} s; ` +
          `${differing.length} deliberately differ from a peer: ${differing.map(({ number }) => number).join(", ")}`
      )
      return new Map(outcomes)
    })
  )

const client = Layer.unwrap(Effect.map(TestCluster, ({ kubeconfig }) => KubernetesClient.layerKubeConfig(kubeconfig)))

export const behaviours = <E>(server: string, cluster: Layer.Layer<TestCluster, E>): void => {
  const played = outcomes(server).pipe(Layer.provide(client), Layer.provide(cluster))
  it.layer(played, { excludeTestServices: true, timeout: "15 minutes" })(`on ${server}`, (it) => {
    for (const { differs, number, says } of table) {
      it.effect(`${number}. ${says}${differs === undefined ? "" : ` [differs: ${differs}]`}`, () =>
        Effect.flatMap(Outcomes, (outcomes) => outcomes.get(number) ?? Effect.die(new Error("was not played")))
      )
    }
  })
}

it("the table has all 48 cases, each once", () => {
  assert.deepStrictEqual(
    table.map(({ number }) => number),
    Array.from({ length: 48 }, (_, index) => index + 1)
  )
})
