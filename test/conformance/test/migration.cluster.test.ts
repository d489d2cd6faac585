import { migration } from "./migration.ts"
import { realCluster } from "./realCluster.ts"

migration("a real API server", realCluster)
