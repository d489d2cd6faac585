import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { rbac } from "../src/manifests.ts"

describe("the manifests", () => {
  it("hold the Role that the program's parts say they need (else: pnpm manifests)", () => {
    assert.strictEqual(readFileSync(new URL("../manifests/rbac.yaml", import.meta.url), "utf8"), rbac)
  })
})
