/**
 * What hello-leader is told by its environment, and what it tells in its log: JSON lines, since its output is no terminal.
 */
import { DateTime, Option, Schema } from "effect"
import type { Mark } from "./Exclusion.ts"
import type { Happening } from "./Scene.ts"

export type Environment = { readonly [variable: string]: string }

/** The demo's own environment must not reach the replicas in these. */
export const unset = {
  IDENTITY: undefined,
  LEASE_DURATION: undefined,
  RENEW_DEADLINE: undefined,
  RENEWAL_DEADLINE: undefined,
  RETRY_PERIOD: undefined,
  REQUEST_TIMEOUT: undefined,
  DRAIN_TIMEOUT: undefined,
  CLOCK_DRIFT: undefined,
  MAX_CLOCK_SKEW: undefined,
  RELEASE_ON_SHUTDOWN: undefined,
  RECLAIM_OWN: undefined
}

const Line = Schema.fromJsonString(
  Schema.Struct({
    message: Schema.Unknown,
    level: Schema.String,
    timestamp: Schema.DateTimeUtcFromString,
    annotations: Schema.Struct({ token: Schema.BigIntFromString.pipe(Schema.optionalKey) }),
    cause: Schema.String.pipe(Schema.optionalKey)
  })
)
const decode = Schema.decodeUnknownOption(Line)

const deeds: { readonly [message: string]: Mark["did"] } = {
  "started leading": "started",
  tick: "ticked",
  "stopped leading": "stopped"
}

type Told = { readonly [K in "Worked" | "Spoke"]: Omit<Extract<Happening, { readonly _tag: K }>, "at"> }[
  | "Worked"
  | "Spoke"]

export const read = (replica: string, line: string): Told =>
  Option.match(decode(line), {
    // Node itself, or a crash.
    onNone: () => ({ _tag: "Spoke", replica, text: line, isTrouble: line.trim() !== "" }),
    onSome: ({ annotations: { token }, cause, level, message, timestamp }) => {
      const text = typeof message === "string" ? message : JSON.stringify(message)
      const did = deeds[text]
      return did === undefined || token === undefined
        ? { _tag: "Spoke", replica, text: cause ?? text, isTrouble: level !== "INFO" }
        : { _tag: "Worked", mark: { at: DateTime.toEpochMillis(timestamp), replica, token, did } }
    }
  })
