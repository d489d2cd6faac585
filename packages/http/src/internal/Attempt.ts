/**
 * What came of one attempt to have a request handled by the leader, and what the client is told when there is no further one.
 */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

export type Attempt =
  | { readonly _tag: "Answered"; readonly response: HttpServerResponse.HttpServerResponse }
  /** Certainly nothing was carried out. */
  | { readonly _tag: "NotDone"; readonly why: string; readonly canRepeat: boolean }
  /** It may have been carried out, in part or whole. `by` says whose answer is missing: an own handler's, or a peer's. */
  | { readonly _tag: "InDoubt"; readonly why: string; readonly canRepeat: boolean; readonly by: "handler" | "peer" }

export const answered = (response: HttpServerResponse.HttpServerResponse): Attempt => ({ _tag: "Answered", response })

export type Missed = Exclude<Attempt, { readonly _tag: "Answered" }>

/** Says of a 502 or 503 whether the request was certainly not carried out. Read by the candidate that forwarded it. */
export const outcomeHeader = "effect-leader-outcome"

export const notDone = "not-done"
export const inDoubt = "in-doubt"

export const refusal = (missed: Missed, isIdempotent: boolean): HttpServerResponse.HttpServerResponse => {
  switch (missed._tag) {
    case "NotDone":
      return answer(503, notDone, `${missed.why}. Nothing was carried out: try again.`, true)
    case "InDoubt": {
      const status = missed.by === "peer" ? 502 : 503
      return isIdempotent
        ? answer(status, inDoubt, `${missed.why}. It may have been carried out; it may be repeated.`, true)
        : answer(status, inDoubt, `${missed.why}. It may have been carried out, and was not repeated.`, false)
    }
  }
}

const answer = (status: number, outcome: string, text: string, mayRetry: boolean) =>
  HttpServerResponse.text(`${text}\n`, {
    status,
    headers: {
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      [outcomeHeader]: outcome,
      ...(mayRetry ? { "retry-after": "1" } : {})
    }
  })

/** Whether doing it twice is doing it once. */
export const mayRepeat = ({ headers, method }: HttpServerRequest): boolean =>
  idempotent.has(method) || headers["idempotency-key"] !== undefined

const idempotent = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"])
