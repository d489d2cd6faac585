/**
 * The pods of examples/leader-follower-store on the cluster: where they answer, and how they go.
 */
import type * as Pods from "@effect-leader-examples/leader-follower-store/test/Pods.ts"
import { Cluster } from "@effect-leader/test-cluster/Cluster"
import * as Effect from "effect/Effect"
import { example, podsOf, until } from "./OnCluster.ts"

export const name = "leader-follower-store"

/** Where the pods that are ready answer now. */
export const places = Effect.gen(function* () {
  const { endpoints } = yield* Cluster
  return (yield* endpoints(name)).map(({ host, pod, port }): Pods.Place => ({
    name: pod,
    url: `http://${host}:${port}`
  }))
})

export const allReady = until(places, ({ length }) => length === 3)

/** The pods that are ready, kept up to date: a StatefulSet's pods keep their names, but not their addresses. */
export const following = Effect.gen(function* () {
  const pods = [...(yield* allReady)]
  yield* places.pipe(
    Effect.tap((now) => Effect.sync(() => (now.length > 0 ? pods.splice(0, pods.length, ...now) : pods))),
    Effect.ignore,
    Effect.andThen(Effect.sleep("100 millis")),
    Effect.forever,
    Effect.forkScoped
  )
  return pods
})

export const remove = (path: string) =>
  Effect.gen(function* () {
    const { kubectl } = yield* Cluster
    yield* kubectl(["delete", "-k", example(path), "--wait=true", "--timeout=60s"])
    yield* until(podsOf(name), ({ length }) => length === 0)
  })
