/** Writes manifests/rbac.yaml. */
import { writeFileSync } from "node:fs"
import { rbac } from "./manifests.ts"

writeFileSync(new URL("../manifests/rbac.yaml", import.meta.url), rbac)
