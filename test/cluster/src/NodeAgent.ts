/**
 * A kubelet in small: it is the one node of the cluster, and runs the containers of the Pods that are bound to it as local
 * processes, with their environment, their service account and their probes, and reports what became of them.
 *
 * What a kubelet does and this does not: init and ephemeral containers, lifecycle hooks, other probes than httpGet, resource
 * limits, security contexts, other volumes than emptyDir, hostPath and configMap (all are folders of the cluster's own, and a
 * configMap stays as it was when the container started), logs and exec through the API.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { mkdirSync } from "node:fs"
import * as Address from "./node/Address.ts"
import * as Api from "./node/Api.ts"
import * as Command from "./node/Command.ts"
import * as Container from "./node/Container.ts"
import { Pod } from "./node/Pod.ts"

export interface Options extends Command.Node {
  readonly name: string
  /** As the administrator; URLs are paths. */
  readonly http: HttpClient.HttpClient
}

/** A Pod that runs here. */
export interface Running {
  readonly pod: Pod
  readonly podIP: string
  readonly containers: ReadonlyArray<Container.Container>
  /** The log file of its first container, over all restarts. */
  readonly log: string
}

export interface NodeAgent {
  readonly running: (name: string, namespace?: string) => Option.Option<Running>
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const api = Api.make(options.http)
  yield* register(api, options.name)
  const addresses = Address.make()
  const known = new Map<string, { readonly running: Running; readonly changed: (pod: Pod) => void }>()
  const scope = yield* Effect.scope

  const begin = (pod: Pod): Effect.Effect<void> =>
    Effect.suspend(() => {
      const podIP = addresses.take()
      const doomed = Latch.makeUnsafe(pod.isDeleted)
      let current = pod
      const running = newRunning(options, api, pod, podIP)
      known.set(pod.metadata.uid, {
        running: running.running,
        changed: (next) => {
          current = next
          if (next.isDeleted) doomed.openUnsafe()
        }
      })
      return live(api, running, doomed, () => current).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            known.delete(pod.metadata.uid)
            addresses.release(podIP)
          })
        ),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })

  const seen = (pod: Pod): Effect.Effect<void> =>
    Effect.suspend(() => {
      const there = known.get(pod.metadata.uid)
      if (there === undefined) return begin(pod)
      there.changed(pod)
      return Effect.void
    })
  /** Deleted by force: nobody waits for a confirmation. */
  const vanished = (uid: string) =>
    Effect.sync(() => {
      for (const container of known.get(uid)?.running.containers ?? []) container.signal("SIGKILL")
      const there = known.get(uid)
      if (there !== undefined) there.changed(deletedNow(there.running.pod))
    })

  const path = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${options.name}`)}`
  const follow = Effect.gen(function* () {
    const { items, metadata } = yield* Effect.flatMap(api.get(path), decodeList)
    const pods = yield* Effect.forEach(items, (item) => Pod.decode(item))
    yield* Effect.forEach(pods, seen, { discard: true })
    const there = new Set(pods.map((pod) => pod.metadata.uid))
    yield* Effect.forEach(
      [...known.keys()].filter((uid) => !there.has(uid)),
      vanished,
      { discard: true }
    )
    yield* api.watch(`${path}&watch=true&resourceVersion=${metadata.resourceVersion}`).pipe(
      Stream.runForEach(
        Effect.fnUntraced(function* ({ object, type }) {
          if (type === "ERROR") {
            return yield* new Api.ApiError({ request: "watch", status: 410, detail: JSON.stringify(object) })
          }
          const pod = yield* Pod.decode(object)
          yield* type === "DELETED" ? vanished(pod.metadata.uid) : seen(pod)
        })
      )
    )
  })
  // The API server may be gone for a while: the Pods run on.
  yield* follow.pipe(
    Effect.catchCause((cause) => Effect.logDebug("the node agent lists its Pods again", cause)),
    Effect.andThen(Effect.sleep("100 millis")),
    Effect.forever,
    Effect.forkIn(scope)
  )
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { running } of known.values()) for (const container of running.containers) container.signal("SIGKILL")
    })
  )

  const agent: NodeAgent = {
    running: (name, namespace = "default") =>
      Option.fromUndefinedOr(
        // The latest: one that is going may have the same name.
        [...known.values()].findLast(
          ({ running: { pod } }) => pod.metadata.name === name && pod.metadata.namespace === namespace
        )?.running
      )
  }
  return agent
})

const decodeList = Schema.decodeUnknownEffect(
  Schema.Struct({
    metadata: Schema.Struct({ resourceVersion: Schema.String }),
    items: Schema.Array(Schema.Unknown)
  })
)

const deletedNow = (pod: Pod): Pod =>
  new Pod({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: "now", deletionGracePeriodSeconds: 0 } })

/** Makes the Node, with room for what tests run, and says that it is ready. */
const register = Effect.fnUntraced(function* (api: Api.Api, name: string) {
  yield* api.post("/api/v1/nodes", {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } }
  })
  const room = { cpu: "64", memory: "64Gi", pods: "250" }
  yield* api.patch(`/api/v1/nodes/${name}/status`, {
    status: {
      capacity: room,
      allocatable: room,
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      conditions: [{ type: "Ready", status: "True", reason: "AgentReady", message: "runs Pods as processes" }]
    }
  })
  yield* api.patch(`/api/v1/nodes/${name}`, { spec: { taints: null } })
})

interface Parts {
  readonly running: Running
  readonly dirty: Latch.Latch
}

const newRunning = (options: Options, api: Api.Api, pod: Pod, podIP: string): Parts => {
  const folder = `${options.guard.folder}/pods/${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`
  mkdirSync(folder, { recursive: true })
  const dirty = Latch.makeUnsafe(true)
  const address = Address.local(podIP)
  const containers = pod.spec.containers.map((spec) =>
    Container.make({
      spec,
      command: Command.of(options, api, pod, spec, address, folder),
      restartPolicy: pod.spec.restartPolicy ?? "Always",
      address,
      log: `${folder}/${spec.name}.log`,
      guard: options.guard,
      onChange: () => dirty.openUnsafe()
    })
  )
  return { running: { pod, podIP, containers, log: `${folder}/${pod.spec.containers[0]?.name}.log` }, dirty }
}

/** From the first start to the confirmation that it is gone. */
const live = Effect.fnUntraced(function* (
  api: Api.Api,
  { dirty, running }: Parts,
  doomed: Latch.Latch,
  current: () => Pod
) {
  const { containers, pod } = running
  const { name, namespace, uid } = pod.metadata
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`
  const patiently = <A>(request: Effect.Effect<A, Api.Failure>) =>
    request.pipe(
      Effect.asVoid,
      // Gone, or another Pod of the same name.
      Effect.catchIf(
        (error) => error._tag === "ApiError" && [404, 409, 422].includes(error.status),
        () => Effect.void
      ),
      Effect.retry({ times: 600, schedule: Schedule.spaced("100 millis") }),
      Effect.ignore
    )
  const startTime = DateTime.formatIso(yield* DateTime.now)
  let ready = { is: false, since: startTime }
  const report = Effect.gen(function* () {
    const is = containers.every((container) => container.isReady())
    if (is !== ready.is) ready = { is, since: DateTime.formatIso(yield* DateTime.now) }
    yield* patiently(api.patch(`${path}/status`, { metadata: { uid }, status: statusOf(running, startTime, ready) }))
  })
  const reporting = yield* Effect.forkChild(
    Effect.forever(
      Effect.andThen(
        dirty.await,
        Effect.andThen(
          Effect.sync(() => dirty.closeUnsafe()),
          report
        )
      )
    )
  )
  const lives = yield* Effect.forEach(containers, (container) => Effect.forkChild(container.run))
  yield* doomed.await
  const grace = Duration.seconds(current().metadata.deletionGracePeriodSeconds ?? 30)
  yield* Effect.forEach(containers, (container) => container.stop(grace), { concurrency: "unbounded", discard: true })
  yield* Effect.forEach(lives, (fiber) => Fiber.interrupt(fiber), { discard: true })
  yield* Fiber.interrupt(reporting)
  yield* report
  yield* patiently(
    api.remove(path, { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0, preconditions: { uid } })
  )
})

interface Readiness {
  readonly is: boolean
  readonly since: string
}

const statusOf = ({ containers, pod, podIP }: Running, startTime: string, ready: Readiness): object => {
  const ends = containers.map((container) => container.hasEnded())
  const policy = pod.spec.restartPolicy ?? "Always"
  const isOver =
    policy !== "Always" && ends.every((end) => end !== undefined && (policy === "Never" || end.exitCode === 0))
  const isUp = containers.every((container) => container.hasStarted())
  const phase = isOver
    ? ends.every((end) => end?.exitCode === 0)
      ? "Succeeded"
      : "Failed"
    : isUp
      ? "Running"
      : "Pending"
  // `minReadySeconds` counts from the transition.
  const condition = (type: string, isSo: boolean, lastTransitionTime = startTime) => ({
    type,
    status: isSo ? "True" : "False",
    lastTransitionTime
  })
  return {
    phase,
    startTime,
    hostIP: "127.0.0.1",
    podIP,
    podIPs: [{ ip: podIP }],
    conditions: [
      condition("PodScheduled", true),
      condition("Initialized", true),
      condition("ContainersReady", ready.is, ready.since),
      condition("Ready", ready.is, ready.since)
    ],
    containerStatuses: containers.map((container) => container.status())
  }
}
