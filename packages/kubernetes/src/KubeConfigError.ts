/**
 * The kubeconfig cannot be used. It is found when the layer is built, so that a program with a wrong one does not start.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * `source` is the file (or the in-cluster service account), `field` the place in it, `rule` what is wrong there and what
 * would be right. Secrets are never part of it.
 *
 * @since 0.1.0
 */
export class KubeConfigError extends Schema.TaggedError<KubeConfigError>()("KubeConfigError", {
  source: Schema.String,
  field: Schema.optionalKey(Schema.String),
  rule: Schema.String
}) {
  override get message(): string {
    return `kubeconfig ${this.source}: ${this.field === undefined ? "" : `${this.field}: `}${this.rule}`
  }
}
