/**
 * A real Kubernetes control plane for tests: etcd and kube-apiserver as processes on free ports of 127.0.0.1, with all
 * they write in one temporary folder. It is ready when the layer is built; when the scope closes, or this process ends
 * in whatever way, processes and folder are gone.
 *
 * Everything here works in real time, also in a test on a virtual clock.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { generateKeyPairSync } from "node:crypto"
import * as AuditLog from "./AuditLog.ts"
import * as Binaries from "./Binaries.ts"
import * as Daemon from "./Daemon.ts"
import * as FreePort from "./FreePort.ts"
import * as ProcessGuard from "./ProcessGuard.ts"
import { inRealTime } from "./RealTime.ts"
import * as Users from "./Users.ts"

/** kubectl could not be run or said no. */
export class KubectlError extends Schema.TaggedError<KubectlError>()("KubectlError", {
  args: Schema.Array(Schema.String),
  exitCode: Schema.Int,
  stderr: Schema.String
}) {
  override get message() {
    return `kubectl ${this.args.join(" ")}: exit code ${this.exitCode}\n${this.stderr}`
  }
}

export class ControlPlane extends Context.Service<
  ControlPlane,
  {
    /** `https://127.0.0.1:port`, the same after every restart. */
    readonly server: string
    /** The certificate of the API server in PEM: self-signed, so it is its own authority. */
    readonly ca: string
    readonly adminToken: string
    readonly token: (user: Users.User) => string
    /** The path of a kubeconfig file. It goes with the control plane. */
    readonly kubeconfig: (user: Users.User) => string
    /** Speaks to the API server as this user; URLs are paths. */
    readonly client: (user: Users.User) => HttpClient.HttpClient
    /** What kubectl prints. As the administrator, unless `args` hold a `--kubeconfig`. */
    readonly kubectl: (args: ReadonlyArray<string>, stdin?: string) => Effect.Effect<string, KubectlError>
    /** The requests for Leases so far; `AuditLog` says which events they leave. */
    readonly audit: Effect.Effect<ReadonlyArray<AuditLog.AuditEvent>>
    /** The temporary folder: logs of the two programs, keys, whatever a test wants to have cleaned up. */
    readonly folder: string
    /** SIGTERM: answers what is in flight, closes watches, ends. Returns when it is gone, as `killApiServer`. */
    readonly stopApiServer: Effect.Effect<void>
    readonly killApiServer: Effect.Effect<void>
    /** On the same port; returns when it is ready. */
    readonly startApiServer: Effect.Effect<void, Daemon.DaemonError>
    /** SIGSTOP: connections stay open, new ones are accepted by the system, nothing is answered. */
    readonly freezeApiServer: Effect.Effect<void>
    readonly thawApiServer: Effect.Effect<void>
    readonly stopEtcd: Effect.Effect<void>
    readonly killEtcd: Effect.Effect<void>
    readonly startEtcd: Effect.Effect<void, Daemon.DaemonError>
    readonly freezeEtcd: Effect.Effect<void>
    readonly thawEtcd: Effect.Effect<void>
  }
>()("@effect-leader/test-cluster/ControlPlane") {
  /** One layer, one control plane: memoized as every layer, `Layer.fresh` makes another one. */
  static readonly layer: Layer.Layer<ControlPlane, Binaries.BinariesError | Daemon.DaemonError | PlatformError> =
    Layer.effect(
      ControlPlane,
      Effect.suspend(() => make)
    ).pipe(Layer.provide(NodeServices.layer))
}

const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const programs = yield* Binaries.find(["etcd", "kube-apiserver", "kubectl"])
  const guard = yield* ProcessGuard.make("effect-leader-control-plane-")
  const { folder } = guard
  const tokens = Users.newTokens()
  yield* writeInputs(folder, tokens)

  const etcdUrl = `http://127.0.0.1:${yield* FreePort.find}`
  const etcd = yield* Daemon.make({
    program: "etcd",
    path: programs.etcd,
    args: etcdArgs(folder, etcdUrl, `http://127.0.0.1:${yield* FreePort.find}`),
    guard,
    isReady: answers(`${etcdUrl}/health`, yield* makeClient({}))
  })
  yield* etcd.start

  const port = yield* FreePort.find
  const server = `https://127.0.0.1:${port}`
  const certificate = fs.readFileString(`${folder}/pki/apiserver.crt`)
  const apiServer = yield* Daemon.make({
    program: "kube-apiserver",
    path: programs["kube-apiserver"],
    args: apiServerArgs(folder, port, etcdUrl),
    guard,
    // The certificate appears while the server starts for the first time.
    isReady: certificate.pipe(
      Effect.flatMap((ca) => makeClient({ ca })),
      Effect.flatMap((http) => answers(`${server}/readyz`, as(http, tokens.admin))),
      Effect.orElseSucceed(() => false),
      Effect.scoped
    )
  })
  yield* apiServer.start

  const ca = yield* certificate
  const http = HttpClient.mapRequest(yield* makeClient({ ca }), HttpClientRequest.prependUrl(server))
  const kubeconfig = (user: Users.User) => `${folder}/${user}.kubeconfig`
  yield* Effect.forEach(Users.users, (user) =>
    fs.writeFileString(kubeconfig(user), Users.kubeconfig(user, tokens[user], server, ca), { mode: 0o600 })
  )
  const spawner = yield* ChildProcessSpawner

  return ControlPlane.of({
    server,
    ca,
    adminToken: tokens.admin,
    token: (user) => tokens[user],
    kubeconfig,
    client: (user) => as(http, tokens[user]),
    kubectl: (args, stdin) =>
      runKubectl(args, stdin, programs.kubectl, { KUBECONFIG: kubeconfig("admin"), HOME: folder, KUBERC: "off" }).pipe(
        Effect.provideService(ChildProcessSpawner, spawner)
      ),
    audit: AuditLog.read(auditLog(folder)).pipe(Effect.provideService(FileSystem.FileSystem, fs), Effect.orDie),
    folder,
    stopApiServer: apiServer.stop,
    killApiServer: apiServer.kill,
    startApiServer: apiServer.start,
    freezeApiServer: apiServer.freeze,
    thawApiServer: apiServer.thaw,
    stopEtcd: etcd.stop,
    killEtcd: etcd.kill,
    startEtcd: etcd.start,
    freezeEtcd: etcd.freeze,
    thawEtcd: etcd.thaw
  })
}).pipe(
  // Between finding a free port and listening on it, another run may have taken it.
  Effect.retry({
    times: 2,
    while: (error) => error._tag === "DaemonError" && error.log.includes("address already in use")
  }),
  inRealTime
)

const auditLog = (folder: string) => `${folder}/audit.log`

const writeInputs = Effect.fnUntraced(function* (folder: string, tokens: Users.Tokens) {
  const fs = yield* FileSystem.FileSystem
  const serviceAccounts = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" }
  })
  const secret = { mode: 0o600 }
  yield* fs.writeFileString(`${folder}/tokens.csv`, Users.tokenFile(tokens), secret)
  yield* fs.writeFileString(`${folder}/sa.key`, serviceAccounts.privateKey, secret)
  yield* fs.writeFileString(`${folder}/sa.pub`, serviceAccounts.publicKey)
  yield* fs.writeFileString(`${folder}/audit-policy.json`, AuditLog.policy)
})

const etcdArgs = (folder: string, clientUrl: string, peerUrl: string) => [
  `--data-dir=${folder}/etcd`,
  `--listen-client-urls=${clientUrl}`,
  `--advertise-client-urls=${clientUrl}`,
  `--listen-peer-urls=${peerUrl}`,
  `--initial-advertise-peer-urls=${peerUrl}`,
  `--initial-cluster=default=${peerUrl}`,
  // Nothing here outlives the machine.
  "--unsafe-no-fsync"
]

const apiServerArgs = (folder: string, port: number, etcdUrl: string) => [
  `--etcd-servers=${etcdUrl}`,
  `--cert-dir=${folder}/pki`,
  `--secure-port=${port}`,
  "--bind-address=127.0.0.1",
  "--advertise-address=127.0.0.1",
  "--endpoint-reconciler-type=none",
  "--service-cluster-ip-range=10.0.0.0/24",
  "--authorization-mode=RBAC",
  `--token-auth-file=${folder}/tokens.csv`,
  `--service-account-issuer=https://127.0.0.1:${port}/`,
  `--service-account-key-file=${folder}/sa.pub`,
  `--service-account-signing-key-file=${folder}/sa.key`,
  "--disable-admission-plugins=ServiceAccount",
  // By default a server that was told to stop leaves watches open, and waits for them for a minute.
  "--shutdown-watch-termination-grace-period=5s",
  `--audit-policy-file=${folder}/audit-policy.json`,
  `--audit-log-path=${auditLog(folder)}`,
  // An answer waits for its line in the log, so that a test that has the answer finds the line.
  "--audit-log-mode=blocking"
]

const makeClient = Effect.fnUntraced(function* (connect: { readonly ca?: string }) {
  // Over HTTP/2 a request that is interrupted can keep undici 8.12 busy for ever.
  const dispatcher = yield* NodeHttpClient.makeDispatcherOptions({ connect, allowH2: false })
  return yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
})

const as = (http: HttpClient.HttpClient, token: string) =>
  HttpClient.mapRequest(http, HttpClientRequest.bearerToken(token))

const answers = (url: string, http: HttpClient.HttpClient) =>
  http.get(url).pipe(
    Effect.flatMap((response) => Effect.as(response.text, response.status === 200)),
    Effect.timeout("2 seconds"),
    Effect.orElseSucceed(() => false)
  )

const text = (output: Stream.Stream<Uint8Array, PlatformError>) => Stream.mkString(Stream.decodeText(output))

const runKubectl = Effect.fnUntraced(
  function* (args: ReadonlyArray<string>, stdin: string | undefined, path: string, env: Record<string, string>) {
    const kubectl = yield* ChildProcess.make(path, args, {
      env,
      stdin: stdin === undefined ? "ignore" : Stream.encodeText(Stream.make(stdin)),
      forceKillAfter: "5 seconds"
    })
    const { stdout, stderr } = yield* Effect.all(
      { stdout: text(kubectl.stdout), stderr: text(kubectl.stderr) },
      { concurrency: "unbounded" }
    )
    const exitCode = yield* kubectl.exitCode
    return exitCode === 0 ? stdout : yield* new KubectlError({ args, exitCode, stderr })
  },
  Effect.scoped,
  (effect, args) =>
    Effect.catchTag(
      effect,
      "PlatformError",
      (error) => new KubectlError({ args, exitCode: -1, stderr: error.message })
    ),
  inRealTime
)
