/**
 * How a value that does not fit a Schema is told to a person: each wrong field by its path, with what was expected and,
 * where it is no secret, what was found.
 */
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** As `spec.leaseTransitions: Expected an integer, got "x"`; the paths start at `root`. */
export const sayIssues = (error: Schema.SchemaError, root?: string): string =>
  format(error.issue)
    .issues.map((issue) => `${sayPath(issue.path ?? [], root)}: ${issue.message}`)
    .join("; ")

const sayPath = (path: ReadonlyArray<unknown>, root: string | undefined): string => {
  const start = root ?? ""
  const rest = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("")
  const whole = start + rest
  return whole === "" ? "the document" : whole.startsWith(".") ? whole.slice(1) : whole
}
