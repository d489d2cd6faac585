/**
 * The timings and names of one candidate: what a program may set, the defaults (client-go's), and the rules that a set
 * must satisfy to be safe (protocol.md, "Settings").
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { max, min, share } from "./decide/Instant.ts"

/**
 * Every violated rule, with the numbers.
 *
 * @since 0.1.0
 */
export class InvalidTimings extends Schema.TaggedError<InvalidTimings>()("InvalidTimings", {
  violations: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `invalid election settings:\n${this.violations.map((violation) => `  - ${violation}`).join("\n")}`
  }
}

/**
 * Leader work that still ran when another candidate could already lead.
 *
 * @since 0.1.0
 */
export interface Overrun {
  readonly election: string
  readonly identity: string
  readonly token: bigint
  /** How many pieces of work still run. */
  readonly running: number
}

/**
 * What a candidate may be told. All have defaults.
 *
 * @since 0.1.0
 */
export interface Options {
  /** Who this candidate is to the others. Default: `HOSTNAME` (or `candidate`) and a random suffix. */
  readonly identity?: string
  /**
   * Where this candidate can be reached while it leads, as `host:port`: published with the lock, and read by the others
   * as `Leader.address`. Default: none.
   */
  readonly address?: string
  /** How long others wait, without seeing the record change, before they may take over. Default 15 s. */
  readonly leaseDuration?: Duration.Input
  /** How long after sending its last successful write a holder may work. Default 10 s. */
  readonly renewDeadline?: Duration.Input
  /** Time between two renewals, and the base of every retry. Default 2 s. */
  readonly retryPeriod?: Duration.Input
  /** How long one request may take. Default a quarter of `renewDeadline`, at least 1 s, at most half of it. */
  readonly requestTimeout?: Duration.Input
  /** How long work may take to stop when leadership is given up voluntarily. Default 20 s. */
  readonly drainTimeout?: Duration.Input
  /** By how much the rates of two clocks may differ. Offsets do not matter. Default 0.01. */
  readonly clockDrift?: number
  /**
   * When set: a record that is already expired by its own time, plus this, is taken at once on start. Only where the
   * clocks of all candidates agree within it.
   */
  readonly maxClockSkew?: Duration.Input
  /**
   * Whether the lock of a term is given back at shutdown, after the work has ended. Default true. (What was acquired but
   * never led under is given back in any case.)
   */
  readonly releaseOnShutdown?: boolean
  /**
   * Whether a record of the own identity that another process left is taken over at once. Only where the platform
   * rules out that the old process still runs (a StatefulSet pod that restarted). Default false.
   */
  readonly reclaimOwn?: boolean
  /**
   * Runs when work has outlived its lease. Where it cannot be stopped in any other way, end the process here:
   * `onOverrun: () => Effect.sync(() => process.exit(1))`.
   */
  readonly onOverrun?: (overrun: Overrun) => Effect.Effect<void>
}

/** Options that were checked, in nanoseconds, and who this candidate is. */
export interface Settings {
  readonly name: string
  readonly identity: string
  /** A random name of this process (protocol.md, "The same identity twice"). */
  readonly incarnation: string
  readonly address: string | undefined
  readonly leaseDuration: bigint
  readonly renewDeadline: bigint
  readonly retryPeriod: bigint
  readonly requestTimeout: bigint
  readonly drainTimeout: bigint
  /** S: how long after a send all leader work must have ended. */
  readonly stopBy: bigint
  readonly maxClockSkew: bigint | undefined
  readonly releaseOnShutdown: boolean
  readonly reclaimOwn: boolean
}

export interface Given {
  readonly name: string
  readonly incarnation: string
  readonly defaultIdentity: string
  /** Where the lock keeps whole units of time only. */
  readonly durationUnit: Duration.Duration | undefined
}

const second = 1_000_000_000n

/** The longest name that Kubernetes gives to anything, and so to any pod that may be a candidate. */
const longestIdentity = 253

/** The settings, or every rule that the options break. */
export const fromOptions = (options: Options, given: Given): Settings | InvalidTimings => {
  const violations: Array<string> = []
  const nanos = (field: keyof Options & string, input: Duration.Input | undefined, initial: bigint): bigint => {
    if (input === undefined) return initial
    const value = Duration.fromInput(input).pipe(Option.flatMap(Duration.toNanos))
    if (Option.isNone(value)) violations.push(`${field} (${String(input)}) must be a finite duration`)
    return Option.getOrElse(value, () => initial)
  }

  const identity = options.identity ?? given.defaultIdentity
  const leaseDuration = nanos("leaseDuration", options.leaseDuration, 15n * second)
  const renewDeadline = nanos("renewDeadline", options.renewDeadline, 10n * second)
  const retryPeriod = nanos("retryPeriod", options.retryPeriod, 2n * second)
  const requestTimeout = nanos(
    "requestTimeout",
    options.requestTimeout,
    min(max(renewDeadline / 4n, second), renewDeadline / 2n)
  )
  const drainTimeout = nanos("drainTimeout", options.drainTimeout, 20n * second)
  const maxClockSkew = options.maxClockSkew === undefined ? undefined : nanos("maxClockSkew", options.maxClockSkew, 0n)
  const clockDrift = options.clockDrift ?? 0.01
  const driftIsValid = clockDrift >= 0 && clockDrift < 1
  const stopBy = driftIsValid ? share(leaseDuration, (1 - clockDrift) / (1 + clockDrift)) : leaseDuration

  const mustHold = (holds: boolean, violation: string) => {
    if (!holds) violations.push(violation)
  }
  if (identity.trim() === "") {
    violations.push(`identity (${JSON.stringify(identity)}) must not be empty: the lock would look released`)
  }
  mustHold(
    identity.length <= longestIdentity,
    `identity (${identity.slice(0, 20)}..., ${identity.length} characters) must have at most ${longestIdentity} characters`
  )
  if (options.address !== undefined && !isAddress(options.address)) {
    violations.push(`address (${JSON.stringify(options.address.slice(0, 300))}) must be host:port, as 10.1.2.3:8080`)
  }
  mustHold(driftIsValid, `clockDrift (${clockDrift}) must be at least 0 and below 1`)
  for (const [field, value] of Object.entries({ leaseDuration, renewDeadline, retryPeriod, requestTimeout })) {
    mustHold(value > 0n, `${field} (${inSeconds(value)}) must be longer than 0 s`)
  }
  mustHold(drainTimeout >= 0n, `drainTimeout (${inSeconds(drainTimeout)}) must not be negative`)
  mustHold((maxClockSkew ?? 0n) >= 0n, `maxClockSkew (${inSeconds(maxClockSkew ?? 0n)}) must not be negative`)
  mustHold(
    renewDeadline < stopBy,
    `renewDeadline (${inSeconds(renewDeadline)}) must be shorter than ${inSeconds(stopBy)}, which is leaseDuration (${inSeconds(leaseDuration)}) x (1 - clockDrift) / (1 + clockDrift) with clockDrift ${clockDrift}`
  )
  mustHold(
    retryPeriod * 12n < renewDeadline * 10n,
    `retryPeriod (${inSeconds(retryPeriod)}) x 1.2 must be shorter than renewDeadline (${inSeconds(renewDeadline)})`
  )
  mustHold(
    requestTimeout < renewDeadline,
    `requestTimeout (${inSeconds(requestTimeout)}) must be shorter than renewDeadline (${inSeconds(renewDeadline)})`
  )
  const unit = given.durationUnit === undefined ? 1n : Option.getOrElse(Duration.toNanos(given.durationUnit), () => 1n)
  mustHold(
    leaseDuration % unit === 0n,
    `leaseDuration (${inSeconds(leaseDuration)}) must be a multiple of ${inSeconds(unit)}: lock ${given.name} stores nothing finer`
  )

  if (violations.length > 0) return new InvalidTimings({ violations })
  return {
    name: given.name,
    identity,
    incarnation: given.incarnation,
    address: options.address,
    leaseDuration,
    renewDeadline,
    retryPeriod,
    requestTimeout,
    drainTimeout,
    stopBy,
    maxClockSkew,
    releaseOnShutdown: options.releaseOnShutdown ?? true,
    reclaimOwn: options.reclaimOwn ?? false
  }
}

/** Of a name, an IPv4 address, or an IPv6 address in brackets. */
const isAddress = (text: string): boolean => {
  const port = /^(?:[A-Za-z0-9][-.A-Za-z0-9]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):(?<port>\d{1,5})$/.exec(text)?.groups?.[
    "port"
  ]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

const inSeconds = (nanos: bigint): string => `${Number(nanos) / 1e9} s`
