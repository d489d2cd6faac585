/**
 * Candidates that route traffic on an embedded API server, each a user of its own with exactly the rights that the layer's
 * documentation lists, and a pod of its own. Their lock is in memory, so that a test decides who hears of it.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { FaultProxy, type EmbeddedApiServer } from "@effect-leader/testkit"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Identity, KubernetesClient } from "../src/index.ts"
import { temporaryFolder } from "./EmbeddedCluster.ts"
import { startServer } from "./EmbeddedLock.ts"

export type Routing = Layer.Layer<
  never,
  unknown,
  LeaderElection.LeaderElection | KubernetesClient.KubernetesClient | Identity.Identity
>

export interface Candidate {
  readonly election: LeaderElection.Election<LeaderElection.LeaderElection>
  /** As an orderly end of the process: returns when the lock is given back. */
  readonly close: Effect.Effect<void>
  /** From now on it hears nothing of the lock, and the lock nothing of it. */
  readonly cutFromLock: Effect.Effect<void>
  readonly proxy: FaultProxy.FaultProxy
  readonly logs: ReadonlyArray<string>
  readonly isRouted: Effect.Effect<number>
}

type Server = EmbeddedApiServer.EmbeddedApiServer["Service"]

export interface Cluster {
  readonly server: Server
  readonly start: (name: string, options: StartOptions) => Effect.Effect<Candidate, unknown, Scope.Scope>
  readonly object: (resource: string, name: string) => Effect.Effect<EmbeddedApiServer.ApiObject>
  /** The writes of a user that were answered, oldest first. */
  readonly writes: (user: string, resource: string) => Effect.Effect<ReadonlyArray<Written>>
  readonly lock: typeof LeaseLock.LeaseLock.Service
}

export interface Written {
  readonly method: string
  readonly path: string
  readonly status: number
}

export interface StartOptions {
  readonly routing: Routing
  readonly pod?: Partial<Identity.Pod>
  /** What happens when it gives the lock back, before it is given back. */
  readonly onRelease?: Effect.Effect<void>
}

/** Short, so that a takeover takes two seconds. */
const timings = { leaseDuration: "2 seconds", renewDeadline: "1 second", retryPeriod: "200 millis" } as const

export const cluster = Effect.fnUntraced(function* (rules: ReadonlyArray<EmbeddedApiServer.Rule>) {
  const names = ["a", "b", "c"]
  const inNamespace = rules.map((rule) => ({ ...rule, namespace: "default" }))
  const server = yield* startServer({
    users: Object.fromEntries(names.map((name) => [`token-${name}`, { name }])),
    rbac: Object.fromEntries(names.map((name) => [name, inNamespace]))
  })
  const folder = yield* temporaryFolder
  const memory = yield* Layer.build(LeaseLock.layerMemory({ name: "default/reports" }))
  const lock = Context.get(memory, LeaseLock.LeaseLock)
  for (const name of names) yield* Effect.orDie(server.store.put("pods", "default", podOf(name)))

  const start = Effect.fnUntraced(function* (name: string, { onRelease, pod, routing }: StartOptions) {
    const proxy = yield* FaultProxy.make({ upstream: { url: server.url } })
    const kubeconfig = join(folder, name)
    writeFileSync(kubeconfig, proxy.kubeconfig(`token-${name}`))
    const link = linkTo(lock, onRelease ?? Effect.void)
    const logs: Array<string> = []
    const registry = new Map()
    const logger = Logger.make<unknown, void>(
      ({ logLevel, message }) => void logs.push(`${logLevel} ${String(message)}`)
    )
    const uid = (yield* Effect.orDie(
      Effect.flatten(Effect.map(server.store.get("pods", "default", `pod-${name}`), Effect.fromOption))
    )).metadata.uid
    const scope = yield* Scope.fork(yield* Effect.scope)
    const context = yield* routing.pipe(
      Layer.provideMerge(
        LeaderElection.layer({ identity: name, ...timings }).pipe(
          Layer.provide(Layer.succeed(LeaseLock.LeaseLock, link.lock))
        )
      ),
      Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig)),
      Layer.provide(
        Identity.layerOf({
          name: `pod-${name}`,
          namespace: "default",
          uid: uid ?? "",
          address: `10.0.0.${name.charCodeAt(0)}`,
          ...pod
        })
      ),
      Layer.provide(Logger.layer([logger])),
      Layer.provide(Layer.succeed(Metric.MetricRegistry, registry)),
      Layer.fresh,
      Layer.buildWithScope(scope)
    )
    const candidate: Candidate = {
      election: Context.get(context, LeaderElection.LeaderElection),
      close: Scope.close(scope, Exit.void),
      cutFromLock: Effect.sync(link.cut),
      proxy,
      logs,
      isRouted: Effect.map(Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry), (metrics) =>
        metrics.reduce(
          (sum, { id, state }) =>
            id === "leader_election_routed" && "value" in state ? sum + Number(state.value) : sum,
          0
        )
      )
    }
    return candidate
  })

  const cluster: Cluster = {
    server,
    lock,
    start,
    object: (resource, name) =>
      Effect.orDie(Effect.flatMap(server.store.get(resource, "default", name), Effect.fromOption)),
    writes: (user, resource) =>
      Effect.map(server.requests, (requests) =>
        requests.flatMap(({ method, path, status, user: by }) =>
          Option.contains(by, user) &&
          (method === "PUT" || method === "POST") &&
          path.includes(`/${resource}`) &&
          Option.isSome(status)
            ? [{ method, path, status: status.value }]
            : []
        )
      )
  }
  return cluster
})

const podOf = (name: string) => ({
  metadata: { name: `pod-${name}`, labels: { app: "reports" }, annotations: { team: "books" } },
  spec: { containers: [{ name: "main", image: "reports" }], serviceAccountName: "reports" },
  status: { phase: "Running" }
})

const linkTo = (lock: Cluster["lock"], onRelease: Effect.Effect<void>) => {
  let isCut = false
  const through = <A, E>(request: Effect.Effect<A, E>) => Effect.suspend(() => (isCut ? Effect.never : request))
  const way: Cluster["lock"] = {
    ...lock,
    read: through(lock.read),
    write: (expected, next) =>
      through(Effect.andThen(Option.isNone(next.holder) ? onRelease : Effect.void, lock.write(expected, next))),
    changes: (after) => Stream.filter(lock.changes(after), () => !isCut)
  }
  return {
    lock: way,
    cut: () => {
      isCut = true
    }
  }
}

export const settle = Effect.sleep(Duration.millis(300))
