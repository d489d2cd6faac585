/**
 * A proxy between one Kubernetes client and its API server that can fail in every way in which a network, a load balancer
 * or a server fails: late requests and late answers, black holes, resets, trickles, refusals, pages instead of answers,
 * silent watches, a partition, an expired certificate. Without rules it passes everything on at once.
 *
 * It speaks HTTPS with a certificate of its own (HTTP/1.1 only, whatever the client would like) and passes bearer tokens
 * through: point a kubeconfig to `url` and `ca`, one proxy per client, and the client cannot tell it from the server.
 * Faults are data: a rule is set, hits the requests that it is about, and is healed again. Sockets are real; delays follow
 * the clock of the program.
 *
 * Upgraded connections (exec, port-forward) are not supported, and client certificates do not reach the server.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Https from "node:https"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as Kubeconfig from "./apiserver/Kubeconfig.ts"
import * as Exchange from "./proxy/Exchange.ts"
import type { Rule } from "./proxy/Fault.ts"
import * as Listening from "./proxy/Listening.ts"
import * as Log from "./proxy/Log.ts"
import * as Rules from "./proxy/Rules.ts"
import * as Upstream from "./proxy/Upstream.ts"
import * as Wire from "./proxy/Wire.ts"

export * from "./proxy/Fault.ts"
export { ListenError } from "./proxy/Listening.ts"
export type { Counts, ProxiedRequest } from "./proxy/Log.ts"

/**
 * @since 0.1.0
 */
export interface Options {
  /** The API server, and as PEM the authority that its certificate is verified with. */
  readonly upstream: { readonly url: string; readonly ca?: string }
  /** Default: a free one. */
  readonly port?: number
}

/**
 * A rule that was set.
 *
 * @since 0.1.0
 */
export interface Injected {
  /** How many requests it has hit so far. */
  readonly hits: Effect.Effect<number>
  /** Waits until it has hit a request, which may still be under way then. */
  readonly untilHit: Effect.Effect<void>
  /** Ends it. Requests that it has delayed stay delayed; what it holds goes on. */
  readonly heal: Effect.Effect<void>
}

/**
 * The running proxy.
 *
 * **Example** (a write that the server carries out, and the client hears of only after five seconds; after that, nothing)
 *
 * ```ts
 * import { FaultProxy } from "@effect-leader/testkit"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const proxy = yield* FaultProxy.make({ upstream: { url: "https://127.0.0.1:6443", ca: "..." } })
 *   yield* Effect.log(proxy.kubeconfig("the client's token"))
 *   const late = yield* proxy.inject({ on: { method: "PUT", times: 1 }, fault: FaultProxy.delayAnswer("5 seconds") })
 *   yield* proxy.inject({ on: { watch: false }, fault: FaultProxy.blackHole() })
 *   yield* late.untilHit
 *   yield* proxy.healAll
 * })
 *
 * Effect.runPromise(Effect.scoped(program))
 * ```
 *
 * @since 0.1.0
 */
export interface FaultProxy {
  readonly url: string
  readonly port: number
  /** The authority of the proxy's certificate as PEM. */
  readonly ca: string
  /** A kubeconfig for this proxy and the user with this token, as JSON, which is YAML too. */
  readonly kubeconfig: (token: string) => string
  /** Sets a rule. It is in force until it is healed. */
  readonly inject: (rule: Rule) => Effect.Effect<Injected>
  readonly healAll: Effect.Effect<void>
  readonly counts: Effect.Effect<Log.Counts>
  /** The latest 10,000 requests in the order of their arrival. */
  readonly requests: Effect.Effect<ReadonlyArray<Log.ProxiedRequest>>
}

/**
 * Starts a proxy on 127.0.0.1. When the scope ends, every connection is cut and nothing is left.
 *
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<FaultProxy, Listening.ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const upstream = yield* Upstream.make(options.upstream)
    const run = yield* FiberSet.makeRuntime<never>()
    const log = Log.make()
    const openWatches = new Set<Exchange.Exchange>()

    const Certificate = yield* Effect.promise(() => import("./apiserver/Certificate.ts"))
    const authority = Certificate.makeAuthority("effect-leader fault proxy CA")
    const valid = authority.issue()
    const expired = authority.issue(Certificate.longAgo)

    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      const target = targetOf(request)
      const rule = rules.decide(target)
      const note = log.came(clock.monotonicTimeNanosUnsafe(), target, rule?.fault)
      const { remotePort } = request.socket
      const exchange = Exchange.make({ target, request, response, upstream, note, reset: () => wire.reset(remotePort) })
      if (target.isWatch) openWatches.add(exchange)
      const fiber = run(
        Effect.scoped(exchange.run(rule)).pipe(
          // The client sees what this proxy saw: a connection that breaks.
          Effect.catch(() => Effect.sync(exchange.reset))
        )
      )
      response.on("error", () => {})
      response.once("close", () => {
        openWatches.delete(exchange)
        if (exchange.leave()) fiber.interruptUnsafe()
      })
    }

    const server = Https.createServer(valid, onRequest)
    // As kube-apiserver: an idle connection lives for 90 seconds, and none is refused for being slow.
    server.keepAliveTimeout = 90_000
    server.requestTimeout = 0
    server.headersTimeout = 0
    const serverPort = yield* Listening.listen(server, 0)
    const wire = yield* Wire.make({ port: options.port ?? 0, serverPort })

    let shown = valid
    const show = (certificate: typeof valid) => {
      if (shown === certificate) return
      shown = certificate
      server.setSecureContext(certificate)
      wire.resetAll()
    }
    const rules = Rules.make({
      onRequestRule: (active) => {
        const { fault, on } = active
        if (on.watch !== true || (fault._tag !== "SilentWatch" && fault._tag !== "Reset")) return
        for (const exchange of openWatches) {
          if (!active.claims(exchange.target)) continue
          if (fault._tag === "Reset") exchange.reset()
          else exchange.silence(active)
        }
      },
      onConnectionFaults: (faults) => {
        show(faults.has("ExpiredCertificate") ? expired : valid)
        wire.setMode(faults.has("ResetConnections") ? "Reset" : faults.has("Partition") ? "Silent" : "Open")
      }
    })

    const url = `https://127.0.0.1:${wire.port}`
    return {
      url,
      port: wire.port,
      ca: authority.ca,
      kubeconfig: (token) => Kubeconfig.make({ url, ca: authority.ca, user: "client", token }),
      inject: (rule) =>
        Effect.sync(() => {
          const { firstHit, heal, hits } = rules.set(rule)
          return { hits: Effect.sync(hits), untilHit: firstHit, heal: Effect.sync(heal) }
        }),
      healAll: Effect.sync(rules.healAll),
      counts: Effect.sync(() => ({ ...log.sums(), connections: wire.connections(), openWatches: openWatches.size })),
      requests: Effect.sync(log.entries)
    }
  })

const targetOf = ({ method = "GET", url: path = "/" }: IncomingMessage): Rules.Target => {
  const watch = new URLSearchParams(path.split("?")[1]).get("watch")
  return { method, path, isWatch: watch === "true" || watch === "1" }
}
