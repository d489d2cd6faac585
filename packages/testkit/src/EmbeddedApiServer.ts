/**
 * A Kubernetes API server inside the process, for demos and fast tests: it serves leases and a few core kinds over HTTP
 * or HTTPS with the semantics of kube-apiserver 1.36 (versions, conflicts, watches, bearer tokens, RBAC), keeps
 * everything in memory, and can fail on demand as servers do. Its sockets are real; its times, bookmarks and watch
 * timeouts follow the clock of the program, so that under a test clock they wait for the test.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Fs from "node:fs/promises"
import * as AccessControl from "./apiserver/AccessControl.ts"
import * as ApiFailure from "./apiserver/ApiFailure.ts"
import * as ApiHandler from "./apiserver/ApiHandler.ts"
import * as DirectStore from "./apiserver/DirectStore.ts"
import * as Discovery from "./apiserver/Discovery.ts"
import * as HttpListener from "./apiserver/HttpListener.ts"
import * as Kubeconfig from "./apiserver/Kubeconfig.ts"
import * as ObjectStore from "./apiserver/ObjectStore.ts"
import * as RequestLog from "./apiserver/RequestLog.ts"
import * as Watch from "./apiserver/Watch.ts"

export type { Rbac, Rule, User, Users } from "./apiserver/AccessControl.ts"
export { ApiFailure } from "./apiserver/ApiFailure.ts"
export type { ApiObject, ObjectMeta } from "./apiserver/ApiObject.ts"
export type { DirectStore, NewObject } from "./apiserver/DirectStore.ts"
export { ListenError } from "./apiserver/HttpListener.ts"
export type { ServedRequest } from "./apiserver/RequestLog.ts"

/**
 * How a server is set up; everything has a default.
 *
 * @since 0.1.0
 */
export interface Options {
  /** HTTPS with a certificate made for this run; its CA is in `ca` and in the kubeconfig. Default: HTTP. */
  readonly tls?: boolean
  /** Default: a free one. */
  readonly port?: number
  /** By bearer token, or `"anyone"`. Default: the token `admin` for a user `admin` in `system:masters`. */
  readonly users?: AccessControl.Users
  /** By user name; members of `system:masters` need no rules. Default: every user may do everything. */
  readonly rbac?: AccessControl.Rbac
  /** Namespaces that exist from the start. Default: `default` and `kube-system`. */
  readonly namespaces?: ReadonlyArray<string>
  /** How often a watch that allows bookmarks gets one. Default: a minute. */
  readonly bookmarkInterval?: Duration.Input
  /** How many changes a watch can resume from before it is answered 410. Default: 10,000. */
  readonly historyLimit?: number
}

/**
 * The running server.
 *
 * **Example** (a Lease that is made behind the back of whoever uses the server)
 *
 * ```ts
 * import { EmbeddedApiServer } from "@effect-leader/testkit"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* EmbeddedApiServer.EmbeddedApiServer
 *   yield* server.store.put("leases", "default", { metadata: { name: "reports" }, spec: { holderIdentity: "a" } })
 *   yield* Effect.log(`KUBECONFIG for ${server.url}:\n${server.kubeconfig()}`)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(EmbeddedApiServer.layer({ tls: true }))))
 * ```
 *
 * @since 0.1.0
 */
export class EmbeddedApiServer extends Context.Service<
  EmbeddedApiServer,
  {
    /** As in a kubeconfig: `http://127.0.0.1:40123`. */
    readonly url: string
    /** The certificate authority as PEM; none without TLS. */
    readonly ca: Option.Option<string>
    /** The kubeconfig of the user with this token, or of the first user. */
    readonly kubeconfig: (token?: string) => string
    /** Writes that kubeconfig, readable by the owner only. Dies when the file cannot be written. */
    readonly writeKubeconfig: (path: string, token?: string) => Effect.Effect<void>
    /** The latest 10,000 requests in the order of their arrival, unanswered ones too. */
    readonly requests: Effect.Effect<ReadonlyArray<RequestLog.ServedRequest>>
    /** The objects, without HTTP, users or preconditions: for what happens behind a client's back. */
    readonly store: DirectStore.DirectStore
    /** Replaces all tokens. Open watches go on, as on a real server. */
    readonly setUsers: (users: AccessControl.Users) => Effect.Effect<void>
    /** Replaces all rules; undefined allows everything to everyone. */
    readonly setRbac: (rbac: AccessControl.Rbac | undefined) => Effect.Effect<void>
    /** Forgets the history: every version seen so far is too old to resume from, and a watch from it is told 410. */
    readonly compact: Effect.Effect<void>
    /** Ends all open watches in order, as a server does when their time is over. */
    readonly closeWatches: Effect.Effect<void>
    /** Destroys every socket. New connections are served. */
    readonly dropConnections: Effect.Effect<void>
    /**
     * Nothing is served or sent any more, but connections are accepted, as by a process that is stopped. What is asked
     * meanwhile is served after `resume` if its client is still there.
     */
    readonly pause: Effect.Effect<void>
    readonly resume: Effect.Effect<void>
    /**
     * Destroys every socket and refuses new ones. Objects and versions are kept. The history is not, as on a real server
     * that restarts: a watch from a version seen before is told 410.
     */
    readonly stop: Effect.Effect<void>
    /** Listens again on the same port after `stop`. */
    readonly start: Effect.Effect<void, HttpListener.ListenError>
  }
>()("@effect-leader/testkit/EmbeddedApiServer") {}

const defaultUsers: AccessControl.Users = { admin: { name: "admin", groups: ["system:masters"] } }

/**
 * Starts a server on 127.0.0.1. When the scope ends every socket, watch and timer is gone at once.
 *
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<EmbeddedApiServer, HttpListener.ListenError> =>
  Layer.effect(
    EmbeddedApiServer,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const now = () => DateTime.makeUnsafe(clock.currentTimeMillisUnsafe())
      const store = ObjectStore.make({
        now: () => DateTime.formatIso(now()).replace(/\.\d+Z$/, "Z"),
        historyLimit: options.historyLimit ?? 10_000
      })
      const direct = DirectStore.make(store)
      for (const name of options.namespaces ?? ["default", "kube-system"]) {
        yield* Effect.orDie(direct.put("namespaces", "", { metadata: { name }, status: { phase: "Active" } }))
      }
      const bookmarkInterval = Duration.fromInputUnsafe(options.bookmarkInterval ?? "1 minute")
      const watches = Watch.make(store, bookmarkInterval)
      const access = AccessControl.make(options.users ?? defaultUsers, options.rbac)
      const log = RequestLog.make(now)
      const handle = ApiHandler.make({ store, watches, access })

      const serve = (exchange: HttpListener.Exchange): Effect.Effect<ApiHandler.Reply> => {
        const note = log.arrived(exchange)
        return Effect.suspend(() => Effect.fromResult(access.authenticate(exchange.authorization))).pipe(
          Effect.flatMap((user) => {
            if (user !== undefined) note({ user: Option.some(user.name) })
            return user === undefined && !Discovery.isPublic(exchange.url.pathname)
              ? Effect.fail(ApiFailure.unauthorized())
              : handle(exchange, user ?? { name: "system:anonymous" })
          }),
          Effect.catch((failure) =>
            Effect.succeed<ApiHandler.Reply>({ _tag: "Json", code: failure.code, body: failure.status })
          ),
          Effect.tap((reply) =>
            Effect.sync(() => note({ status: Option.some(reply._tag === "Lines" ? 200 : reply.code) }))
          )
        )
      }

      const credentials = options.tls
        ? yield* Effect.promise(() => import("./apiserver/Certificate.ts")).pipe(
            Effect.map((Certificate) => Certificate.generate())
          )
        : undefined
      const listener = yield* HttpListener.make({ port: options.port ?? 0, credentials, serve })
      const url = `${options.tls ? "https" : "http"}://127.0.0.1:${listener.port}`

      const kubeconfig = (token?: string) => {
        const users = access.users()
        const chosen = users === "anyone" ? undefined : (token ?? Object.keys(users)[0])
        const user = users === "anyone" || chosen === undefined ? undefined : users[chosen]
        return Kubeconfig.make({ url, ca: credentials?.ca, user: user?.name ?? "unknown", token: chosen })
      }

      return {
        url,
        ca: Option.fromUndefinedOr(credentials?.ca),
        kubeconfig,
        writeKubeconfig: (path, token) => Effect.promise(() => Fs.writeFile(path, kubeconfig(token), { mode: 0o600 })),
        requests: Effect.sync(log.entries),
        store: direct,
        setUsers: (users) => Effect.sync(() => access.setUsers(users)),
        setRbac: (rbac) => Effect.sync(() => access.setRbac(rbac)),
        compact: Effect.sync(store.compact),
        closeWatches: watches.closeAll,
        dropConnections: listener.dropConnections,
        pause: listener.pause,
        resume: listener.resume,
        stop: Effect.andThen(listener.stop, Effect.sync(store.compact)),
        start: listener.start
      }
    })
  )
