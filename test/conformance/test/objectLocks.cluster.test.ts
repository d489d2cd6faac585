/**
 * ConfigMaps and Endpoints that are locks and something else besides, on a real kube-apiserver.
 */
import { objectLockTests } from "../../../packages/kubernetes/test/objectLocks.ts"
import { realCluster } from "./realCluster.ts"

objectLockTests("a real API server", realCluster)
