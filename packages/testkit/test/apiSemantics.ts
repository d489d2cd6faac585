/**
 * What this project relies on of a Kubernetes API server, as tests that any server can be put under: the embedded one,
 * or a real kube-apiserver. They write only into the namespace `default`, under names of their own.
 */
import { layer } from "@effect/vitest"
import type { Layer } from "effect"
import type { ApiClient } from "./ApiClient.ts"
import { accessSemantics } from "./semantics/access.ts"
import { objectSemantics } from "./semantics/objects.ts"
import { ruleSemantics } from "./semantics/rules.ts"
import { watchSemantics } from "./semantics/watches.ts"

export { limitedRules } from "./semantics/access.ts"

/** Declares the tests for the server that the layer's client speaks to. */
export const apiSemantics = <E>(name: string, client: Layer.Layer<ApiClient, E>): void => {
  layer(client, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    objectSemantics(it)
    ruleSemantics(it)
    watchSemantics(it)
    accessSemantics(it)
  })
}
