import { LeaderElection, LeaseLock } from "@effect-leader/core"
import type { EmbeddedApiServer } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Identity, KubernetesClient, KubernetesLock, LeaderEvents, Rbac } from "../src/index.ts"
import { startServer, until, writeKubeconfig } from "./EmbeddedLock.ts"
import { collecting } from "./Collecting.ts"

type Server = EmbeddedApiServer.EmbeddedApiServer["Service"]

const pod: Identity.Pod = { name: "reports-0", namespace: "default", uid: "u-pod", node: "n" }

class Reports extends LeaderElection.Service<Reports>()("test/Reports") {}

interface Setting {
  readonly options?: LeaderEvents.Options
  readonly election?: LeaderElection.Options
  readonly lock?: Layer.Layer<LeaseLock.LeaseLock, KubernetesLock.InvalidLockName, KubernetesClient.KubernetesClient>
  readonly identity?: Layer.Layer<Identity.Identity>
  readonly kubeconfig?: string
  readonly logs?: ReturnType<typeof collecting>
}

/** Renews and comes back soon, and is not lost on a busy machine. */
const brisk = { leaseDuration: "10 seconds", renewDeadline: "8 seconds", retryPeriod: "200 millis" } as const
const fast = { leaseDuration: "2 seconds", renewDeadline: "1 second", retryPeriod: "200 millis" } as const

/** A program as in the documentation, which is closed at the latest by the end of the test. */
const program = Effect.fnUntraced(function* (server: Server, setting: Setting = {}) {
  const { logs = collecting() } = setting
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const layer = LeaderEvents.layer({ ...setting.options, election: Reports }).pipe(
    Layer.provideMerge(Reports.layer({ identity: "reports-0", ...setting.election })),
    Layer.provide(setting.lock ?? KubernetesLock.layerLease({ name: "reports" })),
    Layer.provide(setting.identity ?? Identity.layerOf(pod)),
    Layer.provide(KubernetesClient.layerKubeConfig(setting.kubeconfig ?? (yield* writeKubeconfig(server))))
  )
  const election = yield* Layer.buildWithScope(layer, scope).pipe(
    Effect.flatMap((context) => Effect.provide(Reports, context)),
    Effect.provide(logs.layer)
  )
  return { election, close: Scope.close(scope, Exit.void) }
})

const eventsOf = (server: Server) =>
  Effect.map(server.store.list("events", "default"), (events) =>
    events.toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
  )

const eventsOn = (server: Server, kind: string) =>
  Effect.map(eventsOf(server), (events) =>
    events.filter((event) => Reflect.get(Object(event["involvedObject"]), "kind") === kind)
  )

const told = (server: Server, kind = "Lease") =>
  Effect.map(eventsOn(server, kind), (events) =>
    events.map(
      ({ message, type }) => `${String(type)}: ${String(message).replace(/\d+/g, (n) => (n === "0" ? n : "N"))}`
    )
  )

const hasTold = (server: Server, count: number, kind = "Lease") =>
  until(Effect.map(eventsOn(server, kind), (events) => events.length >= count))

const began = "Normal: reports-0 became leader (token N)"

describe("a term", () => {
  it.live("is told on the Lease and on the Pod, with all that an Event has", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const { election } = yield* program(server, { options: { component: "reports" } })
      const token = yield* election.runAsLeader(Effect.map(Reports.Term, (term) => term.token))
      yield* hasTold(server, 1)
      yield* hasTold(server, 1, "Pod")
      const lease = Option.getOrThrow(yield* server.store.get("leases", "default", "reports"))
      const [onLease] = yield* eventsOn(server, "Lease")
      const [onPod] = yield* eventsOn(server, "Pod")
      assert(onLease !== undefined && onPod !== undefined)
      const { eventTime, firstTimestamp, lastTimestamp, metadata, ...rest } = onLease
      assert.match(metadata.name, /^reports\.[0-9a-f]{16}$/)
      assert.match(String(eventTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
      assert.match(String(firstTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.strictEqual(lastTimestamp, firstTimestamp)
      assert.deepStrictEqual(rest, {
        apiVersion: "v1",
        kind: "Event",
        involvedObject: {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          namespace: "default",
          name: "reports",
          uid: lease.metadata.uid
        },
        type: "Normal",
        reason: "LeaderElection",
        action: "BecameLeader",
        message: `reports-0 became leader (token ${token})`,
        count: 1,
        source: { component: "reports", host: "reports-0" },
        reportingComponent: "reports",
        reportingInstance: "reports-0"
      })
      assert.match(onPod.metadata.name, /^reports-0\.[0-9a-f]{16}$/)
      assert.deepStrictEqual(onPod["involvedObject"], {
        apiVersion: "v1",
        kind: "Pod",
        namespace: "default",
        name: "reports-0",
        uid: "u-pod"
      })
      assert.strictEqual(onPod["message"], onLease["message"])
    })
  )

  it.live("that ends with the program is told after the lock was given back", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const { close } = yield* program(server)
      yield* hasTold(server, 1)
      yield* close
      const ended = "Normal: reports-0 stopped leading (token N): Shutdown, the program ends"
      assert.deepStrictEqual(yield* told(server), [began, ended])
      assert.deepStrictEqual(yield* told(server, "Pod"), [began, ended])
      const requests = yield* server.requests
      const writes = requests.filter(({ method }) => method === "PUT" || method === "POST")
      assert.deepStrictEqual(
        writes.slice(-3).map(({ method }) => method),
        ["PUT", "POST", "POST"]
      )
    })
  )

  it.live("that was resigned is told when it is over, and the next one too", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const { election } = yield* program(server, { election: brisk })
      yield* hasTold(server, 1)
      yield* election.resign
      yield* hasTold(server, 3)
      const ended = "Normal: reports-0 stopped leading (token N): Resigned, to let another candidate lead"
      assert.deepStrictEqual(yield* told(server), [began, ended, began])
    })
  )

  it.live("that ends by a deleted Lease is a warning, on the Lease that was", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* program(server, { election: brisk })
      yield* hasTold(server, 1)
      yield* server.store.delete("leases", "default", "reports")
      yield* hasTold(server, 3)
      const ended = "Warning: reports-0 stopped leading (token N): LockDeleted, somebody deleted the lock"
      assert.deepStrictEqual(yield* told(server), [began, ended, began])
      const [first, second, third] = (yield* eventsOn(server, "Lease")).map((event) => event["involvedObject"])
      assert.deepStrictEqual(second, first)
      assert.notDeepEqual(third, first)
    })
  )

  it.live("that another candidate ended is a warning", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* program(server)
      yield* hasTold(server, 1)
      yield* server.store.put("leases", "default", {
        metadata: { name: "reports" },
        spec: { holderIdentity: "other", leaseDurationSeconds: 15 }
      })
      yield* hasTold(server, 2)
      const ended = "Warning: reports-0 stopped leading (token N): Superseded, another candidate has the lock"
      assert.deepStrictEqual(yield* told(server), [began, ended])
    })
  )

  it.live("that expired because the server did not answer is told when it answers again", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const { election } = yield* program(server, { election: fast })
      yield* hasTold(server, 1)
      yield* server.pause
      yield* until(Effect.map(election.isLeader, (leads) => !leads))
      yield* server.resume
      yield* hasTold(server, 2)
      assert.strictEqual(
        (yield* told(server))[1],
        "Warning: reports-0 stopped leading (token N): Expired, no renewal succeeded before the renew deadline"
      )
    })
  )
})

describe("the objects", () => {
  it.live("are those that the lock is", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* program(server, {
        options: { lock: ["ConfigMap", "Endpoints"] },
        lock: LeaseLock.layerMemory({ name: "default/reports" })
      })
      yield* hasTold(server, 1, "ConfigMap")
      yield* hasTold(server, 1, "Endpoints")
      const [onConfigMap] = yield* eventsOn(server, "ConfigMap")
      // It does not exist, so that nobody knows its uid.
      const involved = { apiVersion: "v1", kind: "ConfigMap", namespace: "default", name: "reports" }
      assert.deepStrictEqual(onConfigMap?.["involvedObject"], involved)
    })
  )

  it.live("are the Pod alone, if the lock is no object", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* program(server, { lock: LeaseLock.layerMemory({ name: "reports" }) })
      yield* hasTold(server, 1, "Pod")
      assert.strictEqual((yield* eventsOf(server)).length, 1)
    })
  )

  it.live("are the lock alone, if the process is no pod", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const identity = Layer.effect(
        Identity.Identity,
        Effect.map(Identity.Identity, (pod) => Identity.Identity.of({ ...pod, isPod: false }))
      ).pipe(Layer.provide(Identity.layerOf(pod)))
      const { close } = yield* program(server, { identity })
      yield* hasTold(server, 1)
      yield* close
      assert.strictEqual((yield* eventsOf(server)).length, 2)
      assert.strictEqual((yield* told(server)).length, 2)
    })
  )
})

describe("a program that may not write Events", () => {
  it.live("leads all the same, and is told once which rule it lacks", () =>
    Effect.gen(function* () {
      const server = yield* startServer({
        users: { admin: { name: "admin", groups: ["system:masters"] }, t: { name: "program" } },
        rbac: { program: Rbac.forLease("reports") }
      })
      const logs = collecting()
      const kubeconfig = yield* writeKubeconfig(server, "t")
      const { election } = yield* program(server, { election: brisk, kubeconfig, logs })
      const refused = Effect.map(server.requests, (requests) =>
        requests.filter(({ method, status }) => method === "POST" && Option.contains(status, 403))
      )
      yield* election.runAsLeader(Effect.void)
      yield* election.resign
      yield* election.runAsLeader(Effect.void)
      yield* until(Effect.map(refused, (requests) => requests.length >= 6))
      const warnings = logs.at("Warn").filter((message) => message.includes("Events"))
      assert.strictEqual(warnings.length, 1)
      assert.include(
        warnings[0],
        `a Role in namespace "default" with this rule would allow it: - {apiGroups: [""], resources: ["events"], verbs: ["create"]}`
      )
    })
  )
})
