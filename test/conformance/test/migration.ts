/**
 * The move of a program from an older kind of lock to a Lease, with real elections on whichever API server: two kinds that
 * meet on the way exclude each other, and the whole way has one leader at a time and tokens that only grow. Each candidate
 * has a client of its own, as another process has.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"
import * as WorkJournal from "../../../packages/kubernetes/test/WorkJournal.ts"

type Kind = KubernetesLock.Kind

interface Candidate {
  readonly identity: string
  readonly election: LeaderElection.Election<LeaderElection.LeaderElection>
  /** Returns when the lock is given back. */
  readonly close: Effect.Effect<void>
}

/** Short, but a machine that stands still for some seconds loses no term by it. */
const timings = { leaseDuration: "8 seconds", renewDeadline: "7 seconds", retryPeriod: "500 millis" } as const

const setup = Effect.gen(function* () {
  const { kubeconfig } = yield* TestCluster
  const name = `move-${randomUUID()}`
  const { overlaps, running, terms, workOf } = WorkJournal.make("50 millis")

  const start = Effect.fnUntraced(function* (kind: Kind, identity: string) {
    const scope = yield* Scope.make()
    const layer = Layer.fresh(LeaderElection.layer({ identity, address: `${identity}:80`, ...timings })).pipe(
      Layer.provideMerge(Layer.fresh(KubernetesLock.layerConfig({ kind, name }))),
      Layer.provide(Layer.fresh(KubernetesClient.layerKubeConfig(kubeconfig)))
    )
    const context = yield* Layer.buildWithScope(layer, scope)
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const election = Context.get(context, LeaderElection.LeaderElection)
    yield* Effect.forkIn(election.whileLeading(workOf(identity)), scope)
    const lock = Context.get(context, LeaseLock.LeaseLock)
    const candidate: Candidate = { identity, election, close: Scope.close(scope, Exit.void) }
    return { ...candidate, lock }
  })

  const settled = Effect.map(
    Effect.repeat(
      Effect.delay(
        Effect.sync(() => running.size),
        "20 millis"
      ),
      { until: (size) => size === 1 }
    ),
    () => [...running][0]
  )
  const check = Effect.sync(() => {
    assert.deepStrictEqual(overlaps, [])
    const tokens = terms.map(({ token }) => token)
    assert.deepStrictEqual(
      tokens,
      [...new Set(tokens)].toSorted((a, b) => (a < b ? -1 : 1))
    )
  })
  return { start, terms, running, settled, check }
})

const meetings: ReadonlyArray<readonly [Kind, Kind]> = [
  ["configmap", "configmapsleases"],
  ["configmapsleases", "configmap"],
  ["configmapsleases", "lease"],
  ["lease", "configmapsleases"],
  ["endpoints", "endpointsleases"],
  ["endpointsleases", "lease"]
]

/** They mostly wait. */
const concurrently = { concurrent: true }

export const migration = <E>(server: string, cluster: Layer.Layer<TestCluster, E>): void => {
  it.layer(cluster, { excludeTestServices: true, timeout: "15 minutes" })(`the move to a Lease on ${server}`, (it) => {
    for (const [first, second] of meetings) {
      it.effect(
        `while ${first} leads, ${second} stands by, and follows when it has gone`,
        () =>
          Effect.gen(function* () {
            const { check, running, settled, start, terms } = yield* setup
            const a = yield* start(first, "a")
            yield* settled
            const b = yield* start(second, "b")
            // Longer than the lease.
            yield* Effect.sleep("10 seconds")
            assert.deepStrictEqual([...running], ["a"])
            assert.deepInclude(Option.getOrUndefined(yield* b.election.leader), { identity: "a", address: "a:80" })
            yield* a.close
            assert.strictEqual(yield* settled, "b")
            assert.strictEqual(terms.length, 2)
            yield* check
          }),
        concurrently
      )
    }

    for (const [older, pair] of [
      ["configmap", "configmapsleases"],
      ["endpoints", "endpointsleases"]
    ] as const) {
      it.effect(
        `${older}, ${pair}, lease: one leader at a time and growing tokens, replica by replica`,
        () =>
          Effect.gen(function* () {
            const { check, settled, start, terms } = yield* setup
            let replicas: ReadonlyArray<Candidate> = []
            for (const kind of [older, pair, "lease"] satisfies ReadonlyArray<Kind>) {
              for (const index of [1, 2, 3]) {
                const fresh = yield* start(kind, `${kind}-${index}`)
                if (replicas.length === 3) yield* replicas[0]?.close ?? Effect.void
                yield* settled
                replicas = [...replicas.slice(-2), fresh]
              }
            }
            yield* check
            assert.match(terms.at(-1)?.identity ?? "", /^lease-/)
          }),
        concurrently
      )
    }
  })
}
