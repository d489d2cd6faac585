/**
 * Leader election for Effect: leadership as a layer, leader work as fibers that end with the lease.
 *
 * @since 0.1.0
 */
export * as LeaderElection from "./LeaderElection.ts"
export * as LeaseLock from "./LeaseLock.ts"
export * as Term from "./Term.ts"
