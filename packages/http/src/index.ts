/**
 * What programs on `@effect-leader/core` answer over HTTP: probes, metrics, a page for people, and requests that belong to
 * the leader. Each module is a layer for Effect's `HttpRouter`.
 *
 * @since 0.1.0
 */

/**
 * Middleware that sends a request to the leader.
 *
 * @since 0.1.0
 */
export * as LeaderForwarding from "./LeaderForwarding.ts"

/**
 * `/healthz` and `/readyz`.
 *
 * @since 0.1.0
 */
export * as LeaderHealth from "./LeaderHealth.ts"

/**
 * `/metrics`.
 *
 * @since 0.1.0
 */
export * as LeaderMetrics from "./LeaderMetrics.ts"

/**
 * A page for people: who leads, since when, and who did before.
 *
 * @since 0.1.0
 */
export * as LeaderStatus from "./LeaderStatus.ts"
