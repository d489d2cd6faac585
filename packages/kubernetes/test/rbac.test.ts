/** Each part of the package under exactly the rules that `Rbac` says, and under less. */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import type { EmbeddedApiServer } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { parseAllDocuments } from "yaml"
import { Identity, KubernetesClient, KubernetesLock, LeaderEvents, LeaderRouting, Rbac } from "../src/index.ts"
import { collecting } from "./Collecting.ts"
import { record, startServer, until, watchIsOpen, writeKubeconfig } from "./EmbeddedLock.ts"

type Server = EmbeddedApiServer.EmbeddedApiServer["Service"]

const namespace = "default"
const pod = { name: "reports-0", namespace, address: "10.1.2.3" }

interface Program {
  readonly server: Server
  readonly client: Layer.Layer<KubernetesClient.KubernetesClient>
}

/** A part of the package, and a program that does all that it ever does. */
interface Part {
  readonly name: string
  readonly rules: Rbac.Rules
  /** Those of another part, that it relies on. */
  readonly given?: Rbac.Rules
  readonly use: (program: Program) => Effect.Effect<unknown, unknown, Scope.Scope>
}

const locking = (
  layer: Layer.Layer<LeaseLock.LeaseLock, KubernetesLock.InvalidLockName, KubernetesClient.KubernetesClient>
): Part["use"] =>
  Effect.fnUntraced(function* ({ client }) {
    const lock = yield* Effect.provide(LeaseLock.LeaseLock, yield* Layer.build(Layer.provide(layer, client)))
    const created = yield* lock.write(yield* lock.read, record("a"))
    yield* lock.write(created, record("b"))
    yield* lock.changes(created).pipe(Stream.runHead)
  })

type Surroundings = LeaderElection.LeaderElection | KubernetesClient.KubernetesClient | Identity.Identity

/** Runs a layer that needs an election, as its leader, until something is so. */
const leading = (
  layer: Layer.Layer<never, LeaderRouting.InvalidRouting, Surroundings>,
  body: (server: Server) => Effect.Effect<unknown, unknown, Scope.Scope>
): Part["use"] =>
  Effect.fnUntraced(function* ({ client, server }) {
    yield* server.store.put("services", namespace, { metadata: { name: "reports" }, spec: { selector: { app: "r" } } })
    for (const name of [pod.name, "reports-1"]) {
      yield* server.store.put("pods", namespace, { metadata: { name }, status: { phase: "Running" } })
    }
    yield* layer.pipe(
      Layer.provide(LeaderElection.layer({ identity: pod.name })),
      Layer.provide(LeaseLock.layerMemory({ name: "default/reports" })),
      Layer.provide(Identity.layerOf(pod)),
      Layer.provide(client),
      Layer.build
    )
    yield* body(server)
  })

const at = (object: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((value, step) => Reflect.get(Object(value), step), object)

const holds = (server: Server, plural: string, name: string, path: ReadonlyArray<string>, value: unknown) =>
  until(
    Effect.map(server.store.get(plural, namespace, name), (object) =>
      Option.exists(object, (it) => at(it, path) === value)
    )
  )

const labelled = (server: Server) =>
  holds(server, "pods", pod.name, ["metadata", "labels", "effect-leader.dev/role"], "leader")

const parts: ReadonlyArray<Part> = [
  { name: "a Lease", rules: Rbac.forLease("reports"), use: locking(KubernetesLock.layerLease({ name: "reports" })) },
  {
    name: "a ConfigMap",
    rules: Rbac.forLock("ConfigMap", "reports"),
    use: locking(KubernetesLock.layerConfigMap({ name: "reports" }))
  },
  {
    name: "Endpoints",
    rules: Rbac.forLock("Endpoints", "reports"),
    use: locking(KubernetesLock.layerEndpoints({ name: "reports" }))
  },
  {
    name: "routing by the Service's selector",
    rules: Rbac.forServiceSelector("reports"),
    use: leading(LeaderRouting.layerServiceSelector({ service: "reports" }), (server) =>
      Effect.gen(function* () {
        const isRouted = holds(server, "services", "reports", ["spec", "selector", "pod"], pod.name)
        yield* isRouted
        yield* watchIsOpen(server)
        yield* server.store.put("services", namespace, { metadata: { name: "reports" }, spec: { selector: {} } })
        yield* isRouted
      })
    )
  },
  {
    name: "routing by a label of the pod",
    rules: Rbac.forPodLabel(),
    use: leading(LeaderRouting.layerPodLabel(), (server) =>
      Effect.gen(function* () {
        yield* labelled(server)
        yield* watchIsOpen(server)
        yield* server.store.put("pods", namespace, { metadata: { name: pod.name } })
        yield* labelled(server)
      })
    )
  },
  {
    name: "routing by an EndpointSlice",
    rules: Rbac.forEndpointSlice("reports"),
    use: leading(LeaderRouting.layerEndpointSlice({ service: "reports", ports: [{ port: 8080 }] }), (server) =>
      Effect.gen(function* () {
        const path = ["endpoints", "0", "addresses", "0"]
        const isRouted = holds(server, "endpointslices", "reports-leader", path, pod.address)
        yield* isRouted
        yield* watchIsOpen(server)
        yield* server.store.put("endpointslices", namespace, {
          metadata: { name: "reports-leader" },
          addressType: "IPv4",
          endpoints: []
        })
        yield* isRouted
      })
    )
  },
  {
    name: "Events",
    rules: Rbac.forEvents(),
    given: Rbac.forLease("reports"),
    use: leading(LeaderEvents.layer(), (server) =>
      until(Effect.map(server.store.list("events", namespace), (events) => events.length === 2))
    )
  }
]

const running = Effect.fnUntraced(function* (part: Part, rules: Rbac.Rules) {
  const server = yield* startServer({
    users: { admin: { name: "admin", groups: ["system:masters"] }, t: { name: "program" } },
    rbac: { program: [...rules, ...(part.given ?? [])].map((rule) => ({ ...rule, namespace })) }
  })
  // Fails only for a kubeconfig that cannot be read.
  const client = Layer.orDie(KubernetesClient.layerKubeConfig(yield* writeKubeconfig(server, "t")))
  const use = part.use({ server, client }).pipe(Effect.provide(collecting().layer))
  const refused = Effect.map(server.requests, (requests) =>
    requests.filter(({ status }) => Option.contains(status, 403)).map(({ method, path }) => `${method} ${path}`)
  )
  return { use, refused }
})

describe.each(parts)("$name", (part) => {
  it.live("needs no more than its rules", () =>
    Effect.gen(function* () {
      const { refused, use } = yield* running(part, part.rules)
      yield* Effect.scoped(use)
      assert.deepStrictEqual(yield* refused, [])
    })
  )

  const fewer = part.rules.flatMap((rule, index) =>
    rule.verbs.map((verb) => ({
      verb,
      of: `${rule.resources.join()} ${rule.resourceNames?.join() ?? "of any name"}`,
      rules: part.rules.with(index, { ...rule, verbs: rule.verbs.filter((other) => other !== verb) })
    }))
  )
  it.live.each(fewer)("needs $verb of $of", ({ rules }) =>
    Effect.gen(function* () {
      const { refused, use } = yield* running(part, rules)
      const using = yield* Effect.forkScoped(use)
      yield* until(Effect.map(refused, (requests) => requests.length > 0))
      yield* Fiber.interrupt(using)
    })
  )
})

const roleOf = (options: Rbac.Options) => Rbac.manifests(options).find((manifest) => manifest.kind === "Role")

describe("the manifests", () => {
  const rules = [Rbac.forLease("reports"), Rbac.forServiceSelector("reports"), Rbac.forEvents()]

  it("are a ServiceAccount and what binds a Role to it", () => {
    assert.deepStrictEqual(Rbac.manifests({ name: "reports", namespace: "team-a", rules: [Rbac.forEvents()] }), [
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "reports", namespace: "team-a" } },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: "reports", namespace: "team-a" },
        rules: [{ apiGroups: [""], resources: ["events"], verbs: ["create"] }]
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: "reports", namespace: "team-a" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reports" },
        subjects: [{ kind: "ServiceAccount", name: "reports", namespace: "team-a" }]
      }
    ])
  })

  it("bind a ServiceAccount that exists without making it, and leave the namespace open", () => {
    const [role, binding, ...more] = Rbac.manifests({ name: "reports", serviceAccount: "builder", rules })
    assert.deepStrictEqual(more, [])
    assert.deepStrictEqual(role?.metadata, { name: "reports" })
    assert.deepInclude(binding, { subjects: [{ kind: "ServiceAccount", name: "builder" }] })
  })

  it("say each thing once, in one order", () => {
    const all = [
      Rbac.forLease("reports"),
      Rbac.forLease("mailer"),
      Rbac.forLease("reports"),
      Rbac.forLock("ConfigMap", "reports"),
      Rbac.forLock("Endpoints", "reports"),
      Rbac.forServiceSelector("reports"),
      Rbac.forPodLabel(),
      Rbac.forEvents()
    ]
    const role = roleOf({ name: "reports", rules: all })
    assert.deepStrictEqual(role, roleOf({ name: "reports", rules: all.toReversed() }))
    assert.deepStrictEqual(role?.rules, [
      { apiGroups: [""], resources: ["configmaps", "events"], verbs: ["create"] },
      {
        apiGroups: [""],
        resources: ["configmaps", "services"],
        resourceNames: ["reports"],
        verbs: ["get", "watch", "update"]
      },
      {
        apiGroups: [""],
        resources: ["endpoints"],
        resourceNames: ["reports"],
        verbs: ["get", "watch", "update", "create"]
      },
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: ["mailer", "reports"],
        verbs: ["get", "watch", "update", "create"]
      },
      { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch", "update"] }
    ])
  })

  it("never allow of all objects what was asked for some", () => {
    const role = roleOf({
      name: "reports",
      rules: [
        [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
        [{ apiGroups: [""], resources: ["pods"], resourceNames: ["a"], verbs: ["update"] }],
        [{ apiGroups: [""], resources: ["services"], resourceNames: ["a"], verbs: ["get"] }]
      ]
    })
    assert.deepStrictEqual(role?.rules, [
      { apiGroups: [""], resources: ["pods"], resourceNames: ["a"], verbs: ["update"] },
      { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
      { apiGroups: [""], resources: ["services"], resourceNames: ["a"], verbs: ["get"] }
    ])
  })

  it("are YAML that says the same, as people write it", () => {
    const manifests = Rbac.manifests({ name: "reports", rules })
    const text = Rbac.toYaml(manifests)
    assert.deepStrictEqual(
      parseAllDocuments(text).map((document): unknown => document.toJS()),
      [...manifests]
    )
    assert.strictEqual(
      text,
      `# Generated by Rbac.toYaml of @effect-leader/kubernetes: what the program may do, and no more.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: reports
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: reports
rules:
  - apiGroups: [""]
    resources: [events]
    verbs: [create]
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    resourceNames: [reports]
    verbs: [get, watch, update, create]
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, update]
  - apiGroups: [""]
    resources: [services]
    resourceNames: [reports]
    verbs: [get, watch, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: reports
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: reports
subjects:
  - kind: ServiceAccount
    name: reports
`
    )
    assert.match(Rbac.toYaml(manifests, "Made by node manifest.ts\n\nDo not edit"), /^# Made.*\n#\n# Do not edit\napi/)
  })
})
