import * as EmbeddedCluster from "../../../packages/kubernetes/test/EmbeddedCluster.ts"
import { migration } from "./migration.ts"

migration("the embedded API server", EmbeddedCluster.layer({ tls: false }))
