/**
 * What goes wrong between a candidate and its Lease, in the words of the cases.
 */
import { LeaseLock } from "@effect-leader/core"

export const conflicting = { _tag: "Refused", reason: new LeaseLock.Conflict({ detail: "injected" }) } as const
export const unavailable = { _tag: "Refused", reason: new LeaseLock.Unavailable({ detail: "injected" }) } as const
export const lost = { _tag: "RequestLost" } as const
export const answeredLate = { _tag: "AnswerLate", by: "1 second" } as const

/** No notice comes through. */
export const deaf = { chances: { NoticeLost: 1 } } as const
/** Nothing comes through. */
export const cut = { chances: { RequestLost: 1, NoticeLost: 1 } } as const
