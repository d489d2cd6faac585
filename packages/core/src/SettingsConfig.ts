/**
 * Election options from the environment, in the words and forms that Kubernetes manifests use: `LEASE_DURATION=15`,
 * `15s` and `15 seconds` all mean the same.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { Options } from "./Settings.ts"

/** What every variable is called. The first name that is set counts. */
const names = {
  identity: ["IDENTITY", "POD_NAME"],
  address: ["ADDRESS"],
  leaseDuration: ["LEASE_DURATION"],
  renewDeadline: ["RENEW_DEADLINE", "RENEWAL_DEADLINE"],
  retryPeriod: ["RETRY_PERIOD"],
  requestTimeout: ["REQUEST_TIMEOUT"],
  drainTimeout: ["DRAIN_TIMEOUT"],
  clockDrift: ["CLOCK_DRIFT"],
  maxClockSkew: ["MAX_CLOCK_SKEW"],
  releaseOnShutdown: ["RELEASE_ON_SHUTDOWN"],
  reclaimOwn: ["RECLAIM_OWN"]
} as const

/** The options that the environment sets; the others keep their defaults. */
export const fromEnvironment = (): Config.Config<Options> =>
  Config.map(
    Config.all({
      identity: optional(names.identity, Config.String),
      address: optional(names.address, Config.String),
      leaseDuration: optional(names.leaseDuration, duration),
      renewDeadline: optional(names.renewDeadline, duration),
      retryPeriod: optional(names.retryPeriod, duration),
      requestTimeout: optional(names.requestTimeout, duration),
      drainTimeout: optional(names.drainTimeout, duration),
      clockDrift: optional(names.clockDrift, Config.Finite),
      maxClockSkew: optional(names.maxClockSkew, duration),
      releaseOnShutdown: optional(names.releaseOnShutdown, Config.Boolean),
      reclaimOwn: optional(names.reclaimOwn, Config.Boolean)
    }),
    (read) => defined(read)
  )

const optional = <A>(
  [first, ...others]: readonly [string, ...Array<string>],
  read: (name: string) => Config.Config<A>
): Config.Config<Option.Option<A>> =>
  others.reduce(
    (found, name) =>
      Config.flatMap(found, (value) => (Option.isSome(value) ? Config.succeed(value) : Config.option(read(name)))),
    Config.option(read(first))
  )

const defined = <A>(values: { readonly [K in keyof A]: Option.Option<A[K]> }): Partial<A> => {
  const found: Partial<A> = {}
  for (const key in values) {
    const value = values[key]
    if (Option.isSome(value)) found[key] = value.value
  }
  return found
}

const duration = (name: string): Config.Config<Duration.Duration> => Config.schema(DurationFromText, name)

/** Whole or fractional seconds, Go's form (`1m30s`), or Effect's (`90 seconds`). */
const DurationFromText = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transformEffect({
      decode: (text, options) =>
        Option.match(parse(text.trim()), {
          onSome: (parsed) => Effect.succeed(parsed),
          onNone: () => {
            const message = `${JSON.stringify(text)} is no duration: write seconds (15), 15s, 1m30s or 15 seconds`
            return Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
          }
        }),
      encode: (parsed) => Effect.succeed(Duration.format(parsed))
    })
  )
)

const parse = (text: string): Option.Option<Duration.Duration> => {
  if (/^\d+(\.\d+)?$/.test(text)) return Option.some(Duration.seconds(Number(text)))
  if (/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) {
    const parts = text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)
    return Option.some(
      Array.from(parts, ([, amount, unit]) => Duration.millis(Number(amount) * millis(unit))).reduce(
        (a, b) => Duration.sum(a, b),
        Duration.zero
      )
    )
  }
  return Option.filter(Schema.decodeUnknownOption(Schema.DurationFromString)(text), Duration.isFinite)
}

const millis = (unit: string | undefined): number => {
  switch (unit) {
    case "h":
      return 3_600_000
    case "m":
      return 60_000
    case "s":
      return 1000
    case "ms":
      return 1
    case "us":
    case "µs":
      return 0.001
    default:
      return 0.000_001
  }
}
