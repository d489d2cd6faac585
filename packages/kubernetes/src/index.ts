/**
 * Kubernetes for `@effect-leader/core`: a client of the API server, and locks that are objects of the cluster.
 *
 * @since 0.1.0
 */
export * as KubernetesClient from "./KubernetesClient.ts"
export * as KubernetesLock from "./KubernetesLock.ts"
