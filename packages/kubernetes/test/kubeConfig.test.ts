import { assert, describe, it } from "@effect/vitest"
import * as clientNode from "@kubernetes/client-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { rootCertificates } from "node:tls"
import * as KubeConfigFiles from "../src/internal/KubeConfigFiles.ts"
import * as KubeConfigLoading from "../src/internal/KubeConfigLoading.ts"
import * as KubernetesClient from "../src/KubernetesClient.ts"

/** A folder for one test, and files written into it. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const root = mkdtempSync(join(tmpdir(), "kubeconfig-"))
    const write = (path: string, content: unknown): string => {
      const file = join(root, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content))
      return file
    }
    return { root, write }
  }),
  ({ root }) => Effect.sync(() => rmSync(root, { recursive: true }))
)

const nowhere: KubeConfigFiles.Surroundings = {
  kubeconfig: undefined,
  home: "/nonexistent/home",
  serviceAccount: "/nonexistent/serviceaccount",
  serviceHost: undefined,
  servicePort: undefined
}

const loadFrom = (surroundings: Partial<KubeConfigFiles.Surroundings>) =>
  KubeConfigFiles.find((text) => clientNode.loadYaml(text), { ...nowhere, ...surroundings }).pipe(
    Effect.flatMap((merged) => KubeConfigLoading.load(() => new clientNode.KubeConfig(), merged))
  )

const config = (change: { cluster?: object; user?: object; context?: object; rest?: object } = {}) => ({
  apiVersion: "v1",
  kind: "Config",
  "current-context": "prod",
  contexts: [{ name: "prod", context: { cluster: "c", user: "u", namespace: "team", ...change.context } }],
  clusters: [{ name: "c", cluster: { server: "https://10.0.0.1:6443", ...change.cluster } }],
  users: [{ name: "u", user: { token: "SECRET", ...change.user } }],
  ...change.rest
})

const headersOf = (kubeConfig: clientNode.KubeConfig) =>
  Effect.promise(async () => {
    const options = { headers: {} as Record<string, string> }
    await kubeConfig.applyToHTTPSOptions(options)
    return options.headers
  })

describe("finding the kubeconfig", () => {
  it.live("KUBECONFIG wins over ~/.kube/config", () =>
    Effect.gen(function* () {
      const { root, write } = yield* folder
      write(".kube/config", config({ context: { namespace: "home" } }))
      const file = write("named", config({ context: { namespace: "named" } }))
      const loaded = yield* loadFrom({ home: root, kubeconfig: file })
      assert.strictEqual(loaded.namespace, "named")
      assert.strictEqual(loaded.source, file)
      assert.strictEqual((yield* loadFrom({ home: root })).namespace, "home")
    })
  )

  it.live(
    "of several files the first that says something wins, and those that do not exist or are empty are skipped",
    () =>
      Effect.gen(function* () {
        const { root, write } = yield* folder
        const first = write("first", {
          contexts: [{ name: "prod", context: { cluster: "c", user: "u", namespace: "first" } }],
          clusters: [{ name: "c", cluster: { server: "https://first:6443/" } }]
        })
        const second = write("second", {
          ...config({ cluster: { server: "https://second:6443" } }),
          "current-context": "prod",
          users: [{ name: "u", user: { token: "of-second" } }]
        })
        const third = write("third", { "current-context": "other" })
        const loaded = yield* loadFrom({
          kubeconfig: [write("empty", "\n"), first, join(root, "none"), second, third].join(delimiter)
        })
        assert.strictEqual(loaded.server, "https://first:6443")
        assert.strictEqual(loaded.namespace, "first")
        assert.strictEqual((yield* headersOf(loaded.makeKubeConfig()))["Authorization"], "Bearer of-second")
      })
  )

  it.live("in a pod it is the service account, its namespace trimmed and its token read again", () =>
    Effect.gen(function* () {
      const { root, write } = yield* folder
      write("sa/namespace", "jobs\n")
      write("sa/token", "t1")
      write("sa/ca.crt", rootCertificates[0])
      write(".kube/config", "")
      const pod = { serviceAccount: join(root, "sa"), serviceHost: "fd00::1", servicePort: "443" }
      const loaded = yield* loadFrom({ ...pod, home: root })
      assert.strictEqual(loaded.namespace, "jobs")
      assert.strictEqual(loaded.server, "https://[fd00::1]:443")
      assert.include(loaded.credential, join(root, "sa/token"))
      assert.strictEqual((yield* headersOf(loaded.makeKubeConfig()))["Authorization"], "Bearer t1")
    })
  )

  it.live("nothing found says where it was looked for, instead of trying localhost:8080", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(loadFrom({}))
      for (const place of [
        "KUBECONFIG",
        "/nonexistent/home/.kube/config",
        "KUBERNETES_SERVICE_HOST",
        "serviceaccount/token"
      ]) {
        assert.include(error.message, place)
      }
    })
  )

  it.live("paths are relative to their file", () =>
    Effect.gen(function* () {
      const { root, write } = yield* folder
      write("keys/token", "from-file\n")
      const file = write("config", config({ user: { tokenFile: "keys/token" } }))
      const loaded = yield* loadFrom({ kubeconfig: file })
      assert.include(loaded.credential, join(root, "keys/token"))
      assert.strictEqual((yield* headersOf(loaded.makeKubeConfig()))["Authorization"], "Bearer from-file\n")
    })
  )

  it.live('the default namespace is "default"; a context without a user is anonymous', () =>
    Effect.gen(function* () {
      const { write } = yield* folder
      const file = write("config", config({ context: { namespace: null, user: "" } }))
      const loaded = yield* loadFrom({ kubeconfig: file })
      assert.strictEqual(loaded.namespace, "default")
      assert.include(loaded.credential, "anonymous")
    })
  )

  it.live("http:// is taken where there is no credential to lose, as with kubectl proxy", () =>
    Effect.gen(function* () {
      const { write } = yield* folder
      const file = write("config", config({ cluster: { server: "http://localhost:8001" }, user: { token: "" } }))
      const loaded = yield* loadFrom({ kubeconfig: file })
      assert.strictEqual(loaded.server, "http://localhost:8001")
      assert.notProperty(yield* headersOf(loaded.makeKubeConfig()), "Authorization")
    })
  )

  it.live("entries that are not in use may be broken", () =>
    Effect.gen(function* () {
      const { write } = yield* folder
      const base = config()
      const file = write("config", {
        ...base,
        clusters: [{ name: "broken" }, { name: "empty", cluster: { server: "" } }, ...base.clusters],
        users: [...base.users, { name: "gone", user: { "client-certificate": "/nonexistent" } }]
      })
      assert.strictEqual((yield* loadFrom({ kubeconfig: file })).server, "https://10.0.0.1:6443")
    })
  )
})

describe("a wrong kubeconfig is told by file, field and rule", () => {
  it.live.each<[string, unknown, ReadonlyArray<string>]>([
    ["no YAML", "clusters: [", ["is not YAML"]],
    ["an empty file", "", ["the file is empty"]],
    ["text", `"hello"`, ["Expected object"]],
    ["clusters of the wrong shape", config({ rest: { clusters: "none" } }), ["clusters: Expected array"]],
    [
      "a server that is a number",
      config({ cluster: { server: 6443 } }),
      ["clusters[0].cluster.server: Expected string"]
    ],
    ["no current context", config({ rest: { "current-context": "" } }), ["current-context: missing", `"prod"`]],
    [
      "an unknown current context",
      config({ rest: { "current-context": "dev" } }),
      [`current-context: "dev" is none of the contexts ("prod")`]
    ],
    [
      "an unknown cluster",
      config({ context: { cluster: "x" } }),
      [`contexts["prod"].cluster: "x" is none of the clusters ("c")`]
    ],
    ["no cluster", config({ context: { cluster: null } }), [`contexts["prod"].cluster: missing`]],
    ["an unknown user", config({ context: { user: "x" } }), [`contexts["prod"].user: "x" is none of the users ("u")`]],
    ["no server", config({ cluster: { server: null } }), [`clusters["c"].server: missing`]],
    [
      "a server that is no URL",
      config({ cluster: { server: "10.0.0.1" } }),
      [`clusters["c"].server: "10.0.0.1" is not an https`]
    ],
    ["a server of another protocol", config({ cluster: { server: "ftp://x" } }), [`"ftp://x" is not an https`]],
    [
      "a server URL with a password",
      config({ cluster: { server: "https://u:SECRET@x" } }),
      [`clusters["c"].server: must be a URL without user name, password`]
    ],
    [
      "plain http",
      config({ cluster: { server: "http://x" } }),
      [`clusters["c"].server: "http://x"`, "insecure-skip-tls-verify: true"]
    ],
    ["a SOCKS proxy", config({ cluster: { "proxy-url": "socks5://x:1" } }), [`clusters["c"].proxy-url`, "SOCKS"]],
    [
      "a missing certificate authority",
      config({ cluster: { "certificate-authority": "/nonexistent/ca" } }),
      [`clusters["c"].certificate-authority: cannot be read`, "/nonexistent/ca"]
    ],
    [
      "a certificate authority that is none",
      config({
        cluster: {
          "certificate-authority-data": Buffer.from(
            "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----"
          ).toString("base64")
        }
      }),
      [`clusters["c"].certificate-authority`, "PEM"]
    ],
    [
      "a certificate without key",
      config({ user: { "client-certificate-data": "eHg=" } }),
      [`users["u"].client-key: missing`]
    ],
    [
      "a key without certificate",
      config({ user: { "client-key-data": "eHg=" } }),
      [`users["u"].client-certificate: missing`]
    ],
    [
      "a certificate that is none",
      config({ user: { "client-certificate-data": "eHg=", "client-key-data": "eHg=" } }),
      [`users["u"].client-certificate`, "PEM"]
    ],
    [
      "a missing token file",
      config({ user: { tokenFile: "/nonexistent/token" } }),
      [`users["u"].tokenFile: cannot be read`]
    ],
    ["a plugin without a command", config({ user: { exec: { command: "" } } }), ["users[0].user.exec.command"]],
    [
      "impersonation that would be lost",
      config({ user: { "as-groups": ["x"] } }),
      [`users["u"].as-groups: is not supported`]
    ]
  ])("%s", ([, content, said]) =>
    Effect.gen(function* () {
      const { write } = yield* folder
      const file = write("config", content)
      const error = yield* Effect.flip(Layer.build(KubernetesClient.layerKubeConfig(file)))
      assert.instanceOf(error, KubernetesClient.KubeConfigError)
      assert.include(error.message, file)
      for (const part of said) assert.include(error.message, part)
      assert.notInclude(error.message, "SECRET")
    })
  )

  it.live("a file that KUBECONFIG names and that does not exist", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(loadFrom({ kubeconfig: "/nonexistent/config" }))
      assert.include(error.message, "/nonexistent/config: the file does not exist")
      const both = yield* Effect.flip(loadFrom({ kubeconfig: `/nonexistent/a${delimiter}/nonexistent/b` }))
      assert.include(both.message, "none of these files exists")
    })
  )

  it.live("a folder in place of a file", () =>
    Effect.gen(function* () {
      const { root } = yield* folder
      const error = yield* Effect.flip(loadFrom({ kubeconfig: root }))
      assert.include(error.message, `${root}: cannot be read`)
    })
  )
})
