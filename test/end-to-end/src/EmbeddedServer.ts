/**
 * The embedded API server as the server under test.
 */
import * as ProcessGuard from "@effect-leader/test-cluster/ProcessGuard"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ApiServer, candidateRule, type LeaseRequest, monotonicAt, namespace, readLease, users } from "./ApiServer.ts"

const make = Effect.gen(function* () {
  const server = yield* EmbeddedApiServer.EmbeddedApiServer
  const { folder } = yield* ProcessGuard.make("effect-leader-embedded-")
  const kubeconfig = (user: string) => `${folder}/${user}`
  for (const user of users) yield* server.writeKubeconfig(kubeconfig(user), user)

  const allowed = new Set<string>()
  return ApiServer.of({
    port: Number(new URL(server.url).port),
    url: server.url,
    ca: Option.getOrElse(server.ca, () => ""),
    // As the users are set up below.
    token: (user) => user,
    kubeconfig,
    allow: (lease) =>
      Effect.suspend(() => {
        const rules = [...allowed.add(lease)].map((name) => ({ ...candidateRule(name), namespace }))
        return server.setRbac(Object.fromEntries(users.map((user) => [user, rules])))
      }),
    lease: (name) =>
      server.store.get("leases", namespace, name).pipe(
        Effect.flatMap(
          Option.match({
            onNone: () => Effect.succeedNone,
            onSome: (object) => Effect.asSome(readLease(object))
          })
        ),
        Effect.orDie
      ),
    requests: Effect.map(server.requests, (requests) => requests.flatMap(toLeaseRequest)),
    stop: server.stop,
    start: Effect.orDie(server.start),
    freeze: server.pause,
    thaw: server.resume
  })
})

const path = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/[^/]+\/leases(?:\/([^/]+))?$/

const toLeaseRequest = (request: EmbeddedApiServer.ServedRequest): ReadonlyArray<LeaseRequest> => {
  const match = path.exec(request.path)
  if (match === null) return []
  return [
    {
      at: monotonicAt(DateTime.toEpochMillis(request.time)),
      verb: verbOf(request, match[1]),
      user: Option.getOrElse(request.user, () => ""),
      lease: match[1] ?? request.query["fieldSelector"]?.replace("metadata.name=", "") ?? "",
      status: Option.getOrUndefined(request.status)
    }
  ]
}

const verbOf = ({ method, query }: EmbeddedApiServer.ServedRequest, name: string | undefined): string => {
  if (query["watch"] === "true") return "watch"
  switch (method) {
    case "GET":
      return name === undefined ? "list" : "get"
    case "PUT":
      return "update"
    case "POST":
      return "create"
    default:
      return method.toLowerCase()
  }
}

export const layer = Layer.effect(ApiServer, make).pipe(
  Layer.provide(NodeFileSystem.layer),
  Layer.provide(
    EmbeddedApiServer.layer({
      tls: true,
      users: Object.fromEntries(users.map((name) => [name, { name }])),
      rbac: {}
    })
  )
)
