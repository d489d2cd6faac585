/** HTTP servers that answer as no API server should, and what a client and a lock make of it. */
import { LeaseLock } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import type { Server } from "node:net"
import { join } from "node:path"
import { KubernetesClient, KubernetesLock } from "../src/index.ts"
import { temporaryFolder } from "./EmbeddedCluster.ts"

/** Something that will have happened, told by a callback and awaited by an effect. */
export const happening = () => {
  const happened = Latch.makeUnsafe(false)
  return { tell: () => void happened.openUnsafe(), told: happened.await }
}

export type Handler = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

export const serve = Effect.fnUntraced(function* (handler: Handler) {
  const server = yield* listening(Http.createServer(handler))
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  return `http://127.0.0.1:${portOf(server)}`
})

export const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** A server that listens on a free port until the scope ends. */
export const listening = <S extends Server>(server: S): Effect.Effect<S, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<S>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))),
    () => Effect.sync(() => void server.close())
  )

export const kubeconfigOf = (cluster: object, user: object = {}): object => ({
  "current-context": "x",
  contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
  clusters: [{ name: "c", cluster }],
  users: [{ name: "u", user }]
})

export const writeConfig = Effect.fnUntraced(function* (content: object) {
  const path = join(yield* temporaryFolder, "config")
  writeFileSync(path, JSON.stringify(content))
  return path
})

/** A client and a lock by a kubeconfig. */
export const connect = Effect.fnUntraced(function* (content: object) {
  const path = yield* writeConfig(content)
  const client = KubernetesClient.layerKubeConfig(path)
  const context = yield* Layer.build(Layer.provideMerge(KubernetesLock.layerLease({ name: "reports" }), client))
  return yield* Effect.provide(
    Effect.all({ client: KubernetesClient.KubernetesClient, lock: LeaseLock.LeaseLock, path: Effect.succeed(path) }),
    context
  )
})

/** The same of a server that answers so. */
export const answering = Effect.fnUntraced(function* (handler: Handler) {
  const server = yield* serve(handler)
  return { server, ...(yield* connect(kubeconfigOf({ server, "insecure-skip-tls-verify": true }))) }
})

export const reports: KubernetesClient.ObjectReference = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  namespace: "default",
  name: "reports"
}

export const lease = (resourceVersion: string, change: { metadata?: object; spec?: object; kind?: string } = {}) => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: change.kind ?? "Lease",
  metadata: { name: "reports", namespace: "default", uid: "u-1", resourceVersion, ...change.metadata },
  spec: { holderIdentity: "höld€r", leaseDurationSeconds: 15, ...change.spec }
})

export const sendJson = (response: Http.ServerResponse, status: number, body: unknown, headers: object = {}) =>
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body))

export const status = (code: number, reason: string, message: string, details: object = {}) => ({
  kind: "Status",
  apiVersion: "v1",
  status: "Failure",
  code,
  reason,
  message,
  details
})
