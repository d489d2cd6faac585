import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { KubernetesClient, KubernetesLock } from "../src/index.ts"
import { startServer, writeKubeconfig } from "./EmbeddedLock.ts"

const locked = (
  kubeconfig: string,
  environment: { readonly [name: string]: string },
  defaults?: KubernetesLock.Defaults
) =>
  Layer.build(
    KubernetesLock.layerConfig(defaults).pipe(Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig)))
  ).pipe(
    Effect.flatMap((context) => Effect.provide(LeaseLock.LeaseLock, context)),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: environment })))
  )

const record: LeaseLock.LeaseRecord = {
  holder: Option.some("a"),
  leaseDuration: Duration.seconds(15),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(0),
  transitions: 0
}

/** The objects that a first write makes. */
const made = Effect.fnUntraced(function* (
  environment: { readonly [name: string]: string },
  defaults?: KubernetesLock.Defaults
) {
  const server = yield* startServer({ namespaces: ["default", "team-a"] })
  const lock = yield* locked(yield* writeKubeconfig(server), environment, defaults)
  yield* lock.write(yield* lock.read, record)
  const found: Array<string> = []
  for (const resource of ["configmaps", "endpoints", "leases"]) {
    for (const namespace of ["default", "team-a"]) {
      const objects = yield* server.store.list(resource, namespace)
      found.push(...objects.map(({ metadata }) => `${resource} ${namespace}/${metadata.name}`))
    }
  }
  return found
})

describe("the lock that the environment chooses", () => {
  it.live.each<[string | undefined, ReadonlyArray<string>]>([
    [undefined, ["leases"]],
    ["", ["leases"]],
    ["lease", ["leases"]],
    ["leases", ["leases"]],
    ["Lease", ["leases"]],
    ["configmap", ["configmaps"]],
    [" configmaps ", ["configmaps"]],
    ["endpoints", ["endpoints"]],
    ["configmapsleases", ["configmaps", "leases"]],
    ["endpointsleases", ["endpoints", "leases"]]
  ])("LOCK_KIND=%s", ([kind, resources]) =>
    Effect.gen(function* () {
      const environment = { LOCK_NAME: "reports", ...(kind === undefined ? {} : { LOCK_KIND: kind }) }
      assert.deepStrictEqual(
        yield* made(environment),
        resources.map((resource) => `${resource} default/reports`)
      )
    })
  )

  it.live("the environment comes before the program's defaults", () =>
    Effect.gen(function* () {
      const defaults = { kind: "configmap", name: "reports", namespace: "team-a" } as const
      assert.deepStrictEqual(yield* made({}, defaults), ["configmaps team-a/reports"])
      assert.deepStrictEqual(
        yield* made({ LOCK_KIND: "endpoints", LOCK_NAME: "other", LOCK_NAMESPACE: "default" }, defaults),
        ["endpoints default/other"]
      )
    })
  )

  it.live("a kind that there is not is refused with those that there are", () =>
    Effect.gen(function* () {
      const kubeconfig = yield* writeKubeconfig(yield* startServer())
      const error = yield* Effect.flip(locked(kubeconfig, { LOCK_NAME: "reports", LOCK_KIND: "leese" }))
      assert.include(error.message, "LOCK_KIND")
      assert.include(
        error.message,
        `"leese" is no kind of lock: write lease, configmap, endpoints, configmapsleases or endpointsleases`
      )
    })
  )

  it.live("a name has to come from somewhere, and has to be one", () =>
    Effect.gen(function* () {
      const kubeconfig = yield* writeKubeconfig(yield* startServer())
      assert.include((yield* Effect.flip(locked(kubeconfig, {}))).message, "LOCK_NAME")
      const invalid = yield* Effect.flip(locked(kubeconfig, { LOCK_NAME: "My_Lock" }))
      assert.include(invalid.message, `name "My_Lock" of a Kubernetes lock`)
    })
  )
})
