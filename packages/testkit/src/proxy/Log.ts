/**
 * What went through a proxy: every request with what became of it, and the sums.
 */
import * as Option from "effect/Option"
import type { RequestFault } from "./Fault.ts"
import type { Target } from "./Rules.ts"

/**
 * One request as the proxy saw it. Instants are nanoseconds of the monotonic clock.
 *
 * @since 0.1.0
 */
export interface ProxiedRequest {
  readonly at: bigint
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly isWatch: boolean
  /** The fault that it met when it came. */
  readonly fault: Option.Option<RequestFault["_tag"]>
  /** When it was sent to the server. */
  readonly sentAt: Option.Option<bigint>
  /** When the server's answer had begun to come, and its status. */
  readonly carriedOut: Option.Option<{ readonly at: bigint; readonly status: number }>
  /** When the last byte of an answer, whoever's, was given to the client. */
  readonly answeredAt: Option.Option<bigint>
}

/**
 * @since 0.1.0
 */
export interface Counts {
  /** All that were made, and those that are open. */
  readonly connections: { readonly made: number; readonly open: number }
  readonly requests: number
  /** Requests that met no fault. */
  readonly passed: number
  /** Requests by the fault that they met. */
  readonly faults: { readonly [Tag in RequestFault["_tag"]]?: number }
  readonly openWatches: number
}

/** What becomes known of a request after it came. */
export type Later = Partial<Pick<ProxiedRequest, "sentAt" | "carriedOut" | "answeredAt">>

export interface Log {
  readonly entries: () => ReadonlyArray<ProxiedRequest>
  readonly sums: () => Pick<Counts, "requests" | "passed" | "faults">
  readonly came: (at: bigint, target: Target, fault: RequestFault | undefined) => (later: Later) => void
}

const limit = 10_000

export const make = (): Log => {
  const log = new Map<number, ProxiedRequest>()
  const faults: { [Tag in RequestFault["_tag"]]?: number } = {}
  let requests = 0
  let passed = 0
  return {
    entries: () => [...log.values()],
    sums: () => ({ requests, passed, faults: { ...faults } }),
    came: (at, { isWatch, method, path }, fault) => {
      const number = ++requests
      if (fault === undefined) passed++
      else faults[fault._tag] = (faults[fault._tag] ?? 0) + 1
      log.delete(number - limit)
      log.set(number, {
        at,
        method,
        path,
        isWatch,
        fault: Option.fromUndefinedOr(fault?._tag),
        sentAt: Option.none(),
        carriedOut: Option.none(),
        answeredAt: Option.none()
      })
      return (later) => {
        const entry = log.get(number)
        if (entry !== undefined) log.set(number, { ...entry, ...later })
      }
    }
  }
}
