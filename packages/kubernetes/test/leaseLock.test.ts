import * as EmbeddedCluster from "./EmbeddedCluster.ts"
import { leaseLockTests } from "./leaseLock.ts"

leaseLockTests("the embedded API server over HTTP", EmbeddedCluster.layer({ tls: false }))
leaseLockTests("the embedded API server over HTTPS", EmbeddedCluster.layer({ tls: true }))
