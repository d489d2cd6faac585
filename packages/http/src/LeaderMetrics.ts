/**
 * `GET /metrics` for Prometheus: the election's metrics under client-go's names, and all others that the program has.
 *
 * | metric | label | what |
 * |---|---|---|
 * | `leader_election_master_status` | `name` | 1 while this candidate leads, else 0 |
 * | `leader_election_slowpath_total` | `name` | renewals that had to read the lock first |
 * | `leader_election_terms_total` | `name` | terms that this candidate has led |
 * | `leader_election_transitions_total` | `name` | changes of the holder that this candidate has seen |
 * | `leader_election_renewal_seconds` | `name` | from sending a renewal to its success |
 * | `leader_election_remaining_validity_seconds` | `name` | how long it may lead if no further renewal succeeds |
 * | `leader_election_overruns_total` | `name` | terms whose work outlived its lease |
 *
 * `name` is the lock's, with its namespace: `default/reports`, where client-go has `reports`. The text is made by Effect's own `PrometheusMetrics`.
 *
 * ```ts
 * import { LeaderHealth, LeaderMetrics } from "@effect-leader/http"
 * import { Layer } from "effect"
 *
 * export const Operations = Layer.mergeAll(LeaderHealth.layer(), LeaderMetrics.layer())
 * ```
 *
 * @since 0.1.0
 */
import type { HttpRouter } from "effect/http/HttpRouter"
import type * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"

/**
 * Adds the route. One is enough for all elections of a program: their metrics differ by `name`.
 *
 * @since 0.1.0
 */
export const layer = (options?: PrometheusMetrics.HttpOptions): Layer.Layer<never, never, HttpRouter> =>
  PrometheusMetrics.layerHttp(options)
