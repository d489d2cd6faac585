/**
 * Kubernetes for `@effect-leader/core`: a client of the API server, locks that are objects of the cluster, the pod that
 * this process is, what it may do there, and how the cluster learns who leads.
 *
 * @since 0.1.0
 */
export * as Identity from "./Identity.ts"
export * as KubernetesClient from "./KubernetesClient.ts"
export * as KubernetesLock from "./KubernetesLock.ts"
export * as LeaderEvents from "./LeaderEvents.ts"
export * as LeaderRouting from "./LeaderRouting.ts"
export * as Rbac from "./Rbac.ts"
