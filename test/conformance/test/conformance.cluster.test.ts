/**
 * The locks of Kubernetes pass the conformance suite on a real etcd and kube-apiserver.
 */
import { kubernetesLocks } from "./kubernetesLocks.ts"
import { realCluster } from "./realCluster.ts"

kubernetesLocks("a real API server", realCluster)
