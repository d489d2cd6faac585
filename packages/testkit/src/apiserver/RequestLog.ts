/**
 * The requests that came, so that a test can count them: who is idle makes none, a renewal is one.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { Exchange } from "./HttpListener.ts"

/**
 * One request as the server saw it.
 *
 * @since 0.1.0
 */
export interface ServedRequest {
  /** When it arrived. */
  readonly time: DateTime.Utc
  readonly method: string
  readonly path: string
  readonly query: { readonly [name: string]: string }
  /** None until authenticated, and for requests without a valid token. */
  readonly user: Option.Option<string>
  /** None until answered; a watch is answered when it opens. */
  readonly status: Option.Option<number>
  /** Numbers the connections in the order of their first request. */
  readonly connection: number
}

export interface RequestLog {
  readonly entries: () => ReadonlyArray<ServedRequest>
  /** Takes a request down; what it returns adds what becomes known later. */
  readonly arrived: (exchange: Exchange) => (later: Partial<Pick<ServedRequest, "user" | "status">>) => void
}

const limit = 10_000

export const make = (now: () => DateTime.Utc): RequestLog => {
  const log = new Map<number, ServedRequest>()
  let arrivals = 0
  return {
    entries: () => [...log.values()],
    arrived: ({ connection, method, url }) => {
      const number = ++arrivals
      log.delete(number - limit)
      log.set(number, {
        time: now(),
        method,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        user: Option.none(),
        status: Option.none(),
        connection
      })
      return (later) => {
        const entry = log.get(number)
        if (entry !== undefined) log.set(number, { ...entry, ...later })
      }
    }
  }
}
