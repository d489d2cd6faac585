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
