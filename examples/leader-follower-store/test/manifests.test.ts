/**
 * The manifests say what the program needs.
 */
import { Rbac } from "@effect-leader/kubernetes"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const committed = fileURLToPath(new URL("../manifests/rbac.yaml", import.meta.url))

describe("the manifests", () => {
  it.effect("have the Role that the locks need, whichever kind is chosen, and no more", () =>
    Effect.sync(() => {
      const name = "leader-follower-store"
      const manifests = Rbac.manifests({ name, rules: [Rbac.forLease(name), Rbac.forConfigMap(name)] })
      assert.strictEqual(readFileSync(committed, "utf8"), Rbac.toYaml(manifests))
    })
  )
})
