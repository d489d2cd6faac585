/**
 * What programs on `@effect-leader/core` are tested with.
 *
 * @since 0.1.0
 */

/**
 * A Kubernetes API server inside the process.
 *
 * @since 0.1.0
 */
export * as EmbeddedApiServer from "./EmbeddedApiServer.ts"

/**
 * A proxy between a client and its API server that can fail in every way.
 *
 * @since 0.1.0
 */
export * as FaultProxy from "./FaultProxy.ts"

/**
 * A candidate's own view of time.
 *
 * @since 0.1.0
 */
export * as CandidateClock from "./CandidateClock.ts"

/**
 * A lock seen through a network that fails.
 *
 * @since 0.1.0
 */
export * as FaultyLock from "./FaultyLock.ts"

/**
 * What several candidates did: judged by the invariants, and drawn.
 *
 * @since 0.1.0
 */
export * as History from "./History.ts"

/**
 * A job in several candidates, under virtual time and faults that a seed decides.
 *
 * @since 0.1.0
 */
export * as Simulation from "./Simulation.ts"

/**
 * Whether a lock does what the election protocol relies on.
 *
 * @since 0.1.0
 */
export * as LockConformance from "./LockConformance.ts"
