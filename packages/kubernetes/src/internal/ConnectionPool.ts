/**
 * The connections to the API server: one undici Agent for all requests, so that a renewal needs no new TCP and TLS
 * handshake. It speaks HTTP/1.1 only: a watch then has a connection of its own and no renewal waits behind it, and a
 * connection that went dead is left by the next request (shared HTTP/2 sessions do not recover from that). The Agent is
 * made anew only when certificates or trust change, and everything ends with the scope.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { Agent, ProxyAgent } from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { setMaxListeners } from "node:events"
import type { SecureContextOptions } from "node:tls"
import { isDeepStrictEqual } from "node:util"

/** What a connection is made with: two requests with equal trust share connections. */
export interface Trust {
  readonly ca: SecureContextOptions["ca"]
  readonly cert: SecureContextOptions["cert"]
  readonly key: SecureContextOptions["key"]
  readonly servername: string | undefined
  readonly rejectUnauthorized: boolean | undefined
  readonly proxy: string | undefined
}

export interface ConnectionPool {
  readonly execute: (trust: Trust, request: HttpClientRequest) => Effect.Effect<HttpClientResponse, HttpClientError>
}

const connectTimeout = 5_000
// Longer than any sensible retry period, shorter than what load balancers and API servers cut.
const keepAliveTimeout = 30_000
const tcpKeepAliveDelay = 15_000

export const make = Effect.gen(function* () {
  const undici = yield* Effect.promise(() => import("@effect/platform-node/Undici"))
  const all = new Set<Agent | ProxyAgent>()
  let current: { readonly trust: Trust; readonly agent: Agent | ProxyAgent } | undefined
  yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([...all].map((agent) => agent.destroy()))))
  // An Agent that is destroyed leaves a connection that is still being made to its timeout.
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  yield* Effect.addFinalizer(() => Effect.sync(() => ending.abort()))

  const open = (trust: Trust): Agent | ProxyAgent => {
    const { ca, cert, key, proxy, rejectUnauthorized, servername } = trust
    const tcp = {
      keepAlive: true,
      keepAliveInitialDelay: tcpKeepAliveDelay,
      timeout: connectTimeout,
      signal: ending.signal
    }
    // Left out unless it is false, so that NODE_TLS_REJECT_UNAUTHORIZED keeps its meaning.
    const verify = rejectUnauthorized === false ? { rejectUnauthorized } : {}
    const connect = { ca, cert, key, servername, ...verify, ...tcp }
    const common = { allowH2: false, keepAliveTimeout, connectTimeout }
    return proxy === undefined
      ? new undici.Agent({ ...common, connect })
      : new undici.ProxyAgent({ ...common, uri: proxy, requestTls: connect })
  }

  const agentFor = (trust: Trust): Agent | ProxyAgent => {
    if (current !== undefined && isDeepStrictEqual(current.trust, trust)) return current.agent
    const agent = open(trust)
    all.add(agent)
    if (current !== undefined) retire(current.agent)
    current = { trust, agent }
    return agent
  }

  // Requests under way, a watch among them, end on the connection they began on.
  const retire = (agent: Agent | ProxyAgent) => {
    const forget = () => all.delete(agent)
    agent.close().then(forget, forget)
  }

  const pool: ConnectionPool = {
    execute: (trust, request) =>
      Effect.suspend(() =>
        Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, agentFor(trust))
      ).pipe(
        Effect.flatMap((http) => http.execute(request)),
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
      )
  }
  return pool
})
