/**
 * Settings from the environment, and how a wrong one is told to a person.
 */
import { Config, Effect, Schema, SchemaIssue } from "effect"

export class WrongSetting extends Schema.TaggedError<WrongSetting>()("WrongSetting", {
  name: Schema.String,
  rule: Schema.String
}) {
  override get message(): string {
    return `${this.name}: ${this.rule}`
  }
}

/** One of these words; the first, if it is not set. */
export const oneOf = Effect.fnUntraced(function* <const Word extends string>(
  name: string,
  words: readonly [Word, ...ReadonlyArray<Word>]
) {
  const text = yield* Config.String(name).pipe(Config.withDefault<string>(words[0]))
  const chosen = words.find((word) => word === text)
  const rule = `${JSON.stringify(text)} is not known: write ${words.join(" or ")}`
  return chosen ?? (yield* new WrongSetting({ name, rule }))
})

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** What is wrong, as one sentence for each thing that is. */
export const say = (error: { readonly _tag: string; readonly message: string; readonly cause?: unknown }): string => {
  if (error._tag === "ConfigError" && Schema.isSchemaError(error.cause)) {
    return format(error.cause.issue)
      .issues.map(({ message, path = [] }) => `${path.map(String).join("_")}: ${message}`)
      .join("; ")
  }
  if (error._tag === "ServeError" && error.cause instanceof Error) return `cannot serve: ${error.cause.message}`
  return error.message
}
