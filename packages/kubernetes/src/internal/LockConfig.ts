/**
 * Which lock, from the environment: its kind in the words of client-go (`configmapsleases`) or in the singular.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

export type Kind = "lease" | "configmap" | "endpoints" | "configmapsleases" | "endpointsleases"

export interface Choice {
  readonly kind: Kind
  readonly name: string
  /** Undefined: the client's own. */
  readonly namespace: string | undefined
}

/** What the environment says, and these where it says nothing. Only the name has to come from somewhere. */
export const choice = (defaults: {
  readonly [K in keyof Choice]?: Choice[K] | undefined
}): Config.Config<Choice> =>
  Config.all({
    kind: Config.schema(KindFromText, "LOCK_KIND").pipe(Config.withDefault(defaults.kind ?? "lease")),
    name:
      defaults.name === undefined
        ? Config.String("LOCK_NAME")
        : Config.String("LOCK_NAME").pipe(Config.withDefault(defaults.name)),
    namespace: Config.String("LOCK_NAMESPACE").pipe(
      Config.option,
      Config.map((found) => Option.getOrElse(found, () => defaults.namespace))
    )
  })

/** The names of client-go's resource locks mean the same. */
const kinds = new Map<string, Kind>([
  ["lease", "lease"],
  ["leases", "lease"],
  ["configmap", "configmap"],
  ["configmaps", "configmap"],
  ["endpoints", "endpoints"],
  ["configmapsleases", "configmapsleases"],
  ["endpointsleases", "endpointsleases"]
])

const KindFromText = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Literals(["lease", "configmap", "endpoints", "configmapsleases", "endpointsleases"]),
    SchemaTransformation.transformEffect({
      decode: (text, options) => {
        const kind = kinds.get(text.trim().toLowerCase())
        if (kind !== undefined) return Effect.succeed(kind)
        const message =
          `${JSON.stringify(text)} is no kind of lock: write ` +
          "lease, configmap, endpoints, configmapsleases or endpointsleases (leases and configmaps mean lease and configmap)"
        return Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
      },
      encode: (kind) => Effect.succeed(kind)
    })
  )
)
