import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Identity } from "../src/index.ts"
import * as PodIdentity from "../src/internal/PodIdentity.ts"
import { temporaryFolder } from "./EmbeddedCluster.ts"

interface Setting {
  readonly env?: { readonly [name: string]: string }
  /** The content of the service account's files; a folder in its place cannot be read. */
  readonly files?: { readonly namespace?: string; readonly token?: string | "unreadable" }
}

const find = Effect.fnUntraced(function* ({ env = {}, files = {} }: Setting) {
  const serviceAccount = yield* temporaryFolder
  for (const [name, content] of Object.entries(files)) {
    if (content === "unreadable") mkdirSync(join(serviceAccount, name))
    else writeFileSync(join(serviceAccount, name), content)
  }
  return yield* PodIdentity.find({ serviceAccount, host: "laptop.local", process: 4711, namespace: "default" }).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )
})

const tokenOf = (claims: object) =>
  ["{}", JSON.stringify(claims), "signature"].map((part) => Buffer.from(part).toString("base64url")).join(".")

const bound = {
  iss: "https://kubernetes.default.svc",
  "kubernetes.io": {
    namespace: "team-a",
    pod: { name: "reports-0", uid: "u-token" },
    node: { name: "node-token", uid: "u-node" },
    serviceaccount: { name: "reports", uid: "u-sa" }
  }
}

const downwardApi = {
  POD_NAME: "reports-0",
  POD_NAMESPACE: "team-b",
  POD_UID: "u-env",
  NODE_NAME: "node-env",
  POD_IP: "10.1.2.3"
}

describe("the pod", () => {
  it.live("is what the downward API says, before all else", () =>
    Effect.gen(function* () {
      const files = { namespace: "team-a", token: tokenOf(bound) }
      assert.deepStrictEqual(yield* find({ env: { ...downwardApi, HOSTNAME: "h" }, files }), {
        name: "reports-0",
        namespace: "team-b",
        uid: "u-env",
        node: "node-env",
        address: "10.1.2.3",
        isPod: true,
        sources: {
          name: "POD_NAME",
          namespace: "POD_NAMESPACE",
          uid: "POD_UID",
          node: "NODE_NAME",
          address: "POD_IP"
        }
      })
    })
  )

  it.live("is known by its service account where the manifest says nothing", () =>
    Effect.gen(function* () {
      const files = { namespace: "team-a\n", token: `${tokenOf(bound)}\n` }
      const token = "the token of the service account"
      assert.deepStrictEqual(yield* find({ env: { HOSTNAME: "reports-0" }, files }), {
        name: "reports-0",
        namespace: "team-a",
        uid: "u-token",
        node: "node-token",
        isPod: true,
        sources: { name: token, namespace: "the namespace of the service account", uid: token, node: token }
      })
      assert.strictEqual((yield* find({ files: { token: tokenOf(bound) } })).namespace, "team-a")
    })
  )

  it.live("takes nothing from a token of another pod but its namespace", () =>
    Effect.gen(function* () {
      const found = yield* find({ env: { POD_NAME: "reports-1" }, files: { token: tokenOf(bound) } })
      assert.deepStrictEqual(found, {
        name: "reports-1",
        namespace: "team-a",
        isPod: true,
        sources: { name: "POD_NAME", namespace: "the token of the service account" }
      })
    })
  )

  it.live("without a token is named by its host", () =>
    Effect.gen(function* () {
      const inCluster = { KUBERNETES_SERVICE_HOST: "10.0.0.1" }
      const found = yield* find({ env: { ...inCluster, HOSTNAME: "reports-0" } })
      assert.deepInclude(found, { name: "reports-0", namespace: "default", isPod: true })
      assert.deepStrictEqual(found.sources, { name: "HOSTNAME", namespace: "the client's default namespace" })
      const last = yield* find({ env: inCluster })
      assert.deepInclude(last, { name: "laptop.local", isPod: true })
      assert.strictEqual(last.sources.name, "the host's name")
    })
  )

  it.live("outside a cluster is host and process, so that two on one host differ", () =>
    Effect.gen(function* () {
      const found = yield* find({})
      assert.deepStrictEqual(found, {
        name: "laptop.local-4711",
        namespace: "default",
        isPod: false,
        sources: { name: "the host's name and the process id", namespace: "the client's default namespace" }
      })
      const named = yield* find({ env: { HOSTNAME: "desk" } })
      assert.deepInclude(named, { name: "desk-4711", isPod: false })
    })
  )

  it.live("a variable that is set to nothing is not set", () =>
    Effect.gen(function* () {
      const env = Object.fromEntries(Object.keys(downwardApi).map((name) => [name, " "]))
      const files = { namespace: "team-a", token: tokenOf(bound) }
      assert.deepStrictEqual(yield* find({ env, files }), yield* find({ files }))
    })
  )

  it.live.each<[string, string]>([
    ["is unreadable", "unreadable"],
    ["is empty", ""],
    ["is no JWT", "opaque"],
    ["has a payload that is no base64", "a.!!!.c"],
    ["has a payload that is no JSON", `a.${Buffer.from("{").toString("base64url")}.c`],
    ["is not bound to a pod", tokenOf({ "kubernetes.io/serviceaccount/namespace": "team-a" })],
    ["has claims of another shape", tokenOf({ "kubernetes.io": { pod: "reports-0" } })]
  ])("a token that %s says nothing", ([, token]) =>
    Effect.gen(function* () {
      const found = yield* find({ files: { namespace: "team-a", token } })
      assert.deepInclude(found, { name: "laptop.local-4711", namespace: "team-a", isPod: false })
    })
  )

  it.effect("is what the program says, if it says so", () =>
    Effect.gen(function* () {
      const found = yield* Effect.provide(
        Identity.Identity,
        Identity.layerOf({ name: "reports-0", namespace: "team-a", address: "10.1.2.3" })
      )
      assert.deepInclude(found, { name: "reports-0", namespace: "team-a", isPod: true })
      assert.deepStrictEqual(found.sources, { name: "the program", namespace: "the program", address: "the program" })
    })
  )
})

const electing = (pod: Identity.Pod, env: { readonly [name: string]: string }, port?: number) =>
  Effect.gen(function* () {
    const election = yield* LeaderElection.LeaderElection
    yield* election.runAsLeader(Effect.void)
    const { record } = yield* (yield* LeaseLock.LeaseLock).read
    return { identity: election.identity, address: (yield* Effect.fromOption(record)).address }
  }).pipe(
    Effect.provide(
      LeaderElection.layerConfig().pipe(
        Layer.provide(Identity.layerElectionConfig(port === undefined ? {} : { port })),
        Layer.provide(Identity.layerOf(pod)),
        Layer.provideMerge(LeaseLock.layerMemory()),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
      )
    )
  )

describe("an election of the pod", () => {
  const pod = { name: "reports-0", namespace: "team-a", address: "10.1.2.3" }

  it.live("has its name, and publishes its address with the port that it serves", () =>
    Effect.gen(function* () {
      const expected = { identity: "reports-0", address: "10.1.2.3:8080" }
      assert.deepStrictEqual(yield* electing(pod, { PORT: "8080", LEASE_DURATION: "20" }), expected)
      assert.deepStrictEqual(yield* electing(pod, {}, 8080), expected)
      const ipv6 = yield* electing({ ...pod, address: "fd00::7" }, { PORT: "8080" })
      assert.strictEqual(ipv6.address, "[fd00::7]:8080")
    })
  )

  it.live("publishes no address that it does not know, or at which it does not serve", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* electing(pod, {}), { identity: "reports-0", address: undefined })
      const unknown = { name: "reports-0", namespace: "team-a" }
      assert.strictEqual((yield* electing(unknown, { PORT: "8080" })).address, undefined)
    })
  )

  it.live("goes by the environment where that says otherwise", () =>
    Effect.gen(function* () {
      const env = { IDENTITY: "me", ADDRESS: "reports.example:443", PORT: "8080" }
      assert.deepStrictEqual(yield* electing(pod, env), { identity: "me", address: "reports.example:443" })
    })
  )

  it.live("is refused a port that is none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(electing(pod, { PORT: "http" }))
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "PORT")
    })
  )
})
