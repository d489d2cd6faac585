/** The behaviour cases on the embedded API server. */
import * as EmbeddedCluster from "../../../packages/kubernetes/test/EmbeddedCluster.ts"
import { behaviours } from "./behaviours.ts"

behaviours("the embedded API server", EmbeddedCluster.layer({ tls: true }))
