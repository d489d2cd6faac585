import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KubernetesClient, KubernetesLock, Rbac } from "../src/index.ts"
import * as EmbeddedCluster from "./EmbeddedCluster.ts"
import { reasonOf, record as recordOf, startServer, taking, writeKubeconfig } from "./EmbeddedLock.ts"
import { objectLockTests } from "./objectLocks.ts"

objectLockTests("the embedded API server", EmbeddedCluster.layer({ tls: false }))

const record = (holder: string) => ({ ...recordOf(holder), incarnation: "i-1" })

type LockLayer = ReturnType<typeof KubernetesLock.layerLease>

const locked = Effect.fnUntraced(function* (layer: LockLayer, rules: Rbac.Rules) {
  const server = yield* startServer({
    users: { token: { name: "candidate" } },
    rbac: { candidate: rules.map((rule) => ({ ...rule, namespace: "default" })) }
  })
  const client = KubernetesClient.layerKubeConfig(yield* writeKubeconfig(server, "token"))
  const context = yield* Layer.build(Layer.provide(layer, client))
  return { server, lock: yield* Effect.provide(LeaseLock.LeaseLock, context) }
})

const name = "reports"
const kinds: ReadonlyArray<[string, LockLayer, Rbac.Rules]> = [
  ["a Lease", KubernetesLock.layerLease({ name }), Rbac.forLease(name)],
  ["a ConfigMap", KubernetesLock.layerConfigMap({ name }), Rbac.forConfigMap(name)],
  ["Endpoints", KubernetesLock.layerEndpoints({ name }), Rbac.forEndpoints(name)],
  [
    "a ConfigMap and a Lease",
    KubernetesLock.layerMulti({ name, primary: "ConfigMap", secondary: "Lease" }),
    [...Rbac.forConfigMap(name), ...Rbac.forLease(name)]
  ],
  [
    "Endpoints and a Lease",
    KubernetesLock.layerMulti({ name, primary: "Endpoints", secondary: "Lease" }),
    [...Rbac.forEndpoints(name), ...Rbac.forLease(name)]
  ]
]

describe("the rights that a lock needs", () => {
  for (const [what, layer, rules] of kinds) {
    it.live(`the rules for ${what} suffice`, () =>
      Effect.gen(function* () {
        const { lock } = yield* locked(layer, rules)
        const absent = yield* lock.read
        const next = yield* taking(lock.changes(absent))
        const first = yield* lock.write(absent, record("a"))
        assert.deepStrictEqual(yield* next, first)
        const second = yield* lock.write(first, record("a"))
        assert.deepStrictEqual(yield* next, second)
      })
    )

    for (const [index, rule] of rules.entries()) {
      for (const verb of rule.verbs) {
        it.live(`and each is needed for ${what}: ${verb} of ${rule.resources.join()} (rule ${index + 1})`, () =>
          Effect.gen(function* () {
            const fewer = rules.map((it) =>
              it === rule ? { ...it, verbs: it.verbs.filter((allowed) => allowed !== verb) } : it
            )
            const { lock } = yield* locked(layer, fewer)
            const reason = yield* Effect.gen(function* () {
              const absent = yield* lock.read
              const next = yield* taking(lock.changes(absent))
              const first = yield* lock.write(absent, record("a"))
              yield* next
              yield* lock.write(first, record("a"))
            }).pipe(Effect.scoped, reasonOf)
            assert.strictEqual(reason._tag, "Denied")
            assert.include(reason.detail, "with this rule would allow it")
            assert.include(reason.detail, `verbs: ["${verb}"]`)
          })
        )
      }
    }
  }

  it.live("who may not make a ConfigMap can use one that is there", () =>
    Effect.gen(function* () {
      const [rule] = Rbac.forConfigMap(name)
      const { lock, server } = yield* locked(KubernetesLock.layerConfigMap({ name }), rule === undefined ? [] : [rule])
      yield* server.store.put("configmaps", "default", { metadata: { name } })
      yield* lock.write(yield* lock.write(yield* lock.read, record("a")), record("a"))
    })
  )
})
