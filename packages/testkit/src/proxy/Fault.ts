/**
 * What a fault proxy can do to requests and connections, as plain data: a rule says which requests it is about and what
 * happens to them. Nothing here does anything; `FaultProxy.inject` does.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * Which requests a rule is about. What is left out matches all.
 *
 * @since 0.1.0
 */
export interface Match {
  readonly method?: string | ReadonlyArray<string>
  /** A part of the path with its query, or a pattern for it. */
  readonly path?: string | RegExp
  /** Only watches, or only what is none. */
  readonly watch?: boolean
  /** The first request to be hit, counted from 1 among those that match the rest since the rule was set. */
  readonly nth?: number
  /** How many are hit, from the first one on. Default: all; with `nth`: one. */
  readonly times?: number
}

/**
 * What happens to a request. `carriedOut` says whether the server gets it all the same: the client cannot tell.
 *
 * @since 0.1.0
 */
export type RequestFault =
  /** The server gets it later, also when the client has gone meanwhile: the network had it already. */
  | { readonly _tag: "DelayRequest"; readonly by: Duration.Input }
  /** The server gets it at once, and the client its answer later. Of a watch each event is late by that much. */
  | { readonly _tag: "DelayAnswer"; readonly by: Duration.Input }
  /** Kept until the rule is healed, and then sent to the server, also when the client has gone meanwhile. */
  | { readonly _tag: "Hold" }
  /** Never answered, not even when the rule is healed. */
  | { readonly _tag: "BlackHole"; readonly carriedOut: boolean }
  /** The connection is reset, after so many bytes of the answer's body if `afterBytes` says so. Open watches as well. */
  | { readonly _tag: "Reset"; readonly carriedOut: boolean; readonly afterBytes?: number }
  /** The answer's body comes a few bytes at a time. */
  | { readonly _tag: "Trickle"; readonly bytes: number; readonly every: Duration.Input }
  /** Somebody else's answer. */
  | {
      readonly _tag: "Answer"
      readonly status: number
      readonly headers: { readonly [name: string]: string }
      readonly body: string
      readonly carriedOut: boolean
    }
  /** A watch opens, or stays open, and tells nothing; what it would have told is lost. */
  | { readonly _tag: "SilentWatch" }

/**
 * What happens to all connections of the proxy.
 *
 * @since 0.1.0
 */
export type ConnectionFault =
  /**
   * No byte moves on any connection, old or new, not even a handshake. What was sent arrives when the rule is healed, as
   * over a network that comes back.
   */
  | { readonly _tag: "Partition" }
  /** Open connections are reset, and new ones as soon as they are made. */
  | { readonly _tag: "ResetConnections" }
  /** Open connections are reset, and new ones are shown a certificate that has expired. */
  | { readonly _tag: "ExpiredCertificate" }

/**
 * @since 0.1.0
 */
export type Fault = RequestFault | ConnectionFault

/**
 * A fault, and for requests which of them. Of two rules that match a request, the one set first decides.
 *
 * @since 0.1.0
 */
export type Rule =
  | { readonly on?: Match; readonly fault: RequestFault }
  | { readonly on?: never; readonly fault: ConnectionFault }

/** @since 0.1.0 */
export const delayRequest = (by: Duration.Input): RequestFault => ({ _tag: "DelayRequest", by })

/** @since 0.1.0 */
export const delayAnswer = (by: Duration.Input): RequestFault => ({ _tag: "DelayAnswer", by })

/** @since 0.1.0 */
export const hold: RequestFault = { _tag: "Hold" }

/** @since 0.1.0 */
export const blackHole = (options?: { readonly carriedOut?: boolean }): RequestFault => ({
  _tag: "BlackHole",
  carriedOut: options?.carriedOut ?? false
})

/** @since 0.1.0 */
export const reset = (options?: { readonly carriedOut?: boolean; readonly afterBytes?: number }): RequestFault => ({
  _tag: "Reset",
  carriedOut: options?.carriedOut ?? options?.afterBytes !== undefined,
  ...(options?.afterBytes === undefined ? {} : { afterBytes: options.afterBytes })
})

/** @since 0.1.0 */
export const trickle = (bytes: number, every: Duration.Input): RequestFault => ({ _tag: "Trickle", bytes, every })

/** @since 0.1.0 */
export const silentWatch: RequestFault = { _tag: "SilentWatch" }

/**
 * 429 with `Retry-After`, as priority and fairness answers.
 *
 * @since 0.1.0
 */
export const tooManyRequests = (retryAfterSeconds: number): RequestFault => ({
  _tag: "Answer",
  status: 429,
  headers: { "content-type": "text/plain; charset=utf-8", "retry-after": String(retryAfterSeconds) },
  body: "Too many requests, please try again later.\n",
  carriedOut: false
})

/**
 * 500 with a Status. A server that lost its etcd in the middle of a write says the same whether or not it was carried out.
 *
 * @since 0.1.0
 */
export const serverError = (options?: { readonly carriedOut?: boolean }): RequestFault => ({
  _tag: "Answer",
  status: 500,
  headers: { "content-type": "application/json" },
  body: `${JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "Internal error occurred: a fault was injected",
    reason: "InternalError",
    code: 500
  })}\n`,
  carriedOut: options?.carriedOut ?? false
})

/**
 * 200 with a web page, as of a proxy that wants a login first.
 *
 * @since 0.1.0
 */
export const html: RequestFault = {
  _tag: "Answer",
  status: 200,
  headers: { "content-type": "text/html; charset=utf-8" },
  body: "<!doctype html><title>Sign in</title><h1>Sign in to continue</h1>\n",
  carriedOut: false
}

/** @since 0.1.0 */
export const partition: ConnectionFault = { _tag: "Partition" }

/** @since 0.1.0 */
export const resetConnections: ConnectionFault = { _tag: "ResetConnections" }

/** @since 0.1.0 */
export const expiredCertificate: ConnectionFault = { _tag: "ExpiredCertificate" }
