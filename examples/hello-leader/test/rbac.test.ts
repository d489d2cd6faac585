import { Rbac } from "@effect-leader/kubernetes"
import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

it("rbac.yaml is what Rbac says the program needs", () => {
  const comment =
    "What hello-leader may do: everything with its one Lease, and nothing else. The Lease is made by PUT, so that naming it is enough."
  const rbac = Rbac.toYaml(Rbac.manifests({ name: "hello-leader", rules: [Rbac.forLease("hello-leader")] }), comment)
  assert.strictEqual(readFileSync(new URL("../rbac.yaml", import.meta.url), "utf8"), rbac)
})
