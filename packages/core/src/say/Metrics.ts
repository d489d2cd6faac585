/**
 * The metrics of an election, under client-go's names where it has one, with its label `name` for the lock. One
 * Prometheus query serves programs of both kinds.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

const define = (name: string) => {
  const attributes = { name }
  return {
    /** 1 while this candidate leads, 0 otherwise. */
    masterStatus: Metric.withAttributes(masterStatus, attributes),
    slowPath: Metric.withAttributes(slowPath, attributes),
    terms: Metric.withAttributes(terms, attributes),
    transitions: Metric.withAttributes(transitions, attributes),
    renewal: Metric.withAttributes(renewal, attributes),
    remainingValidity: Metric.withAttributes(remainingValidity, attributes),
    overruns: Metric.withAttributes(overruns, attributes)
  }
}

const masterStatus = Metric.gauge("leader_election_master_status", {
  description: "Whether this candidate leads: 1 or 0"
})
const slowPath = Metric.counter("leader_election_slowpath_total", {
  description: "Renewals that had to read the lock first",
  incremental: true
})
const terms = Metric.counter("leader_election_terms_total", {
  description: "Terms that this candidate has led",
  incremental: true
})
const transitions = Metric.counter("leader_election_transitions_total", {
  description: "Changes of the holder that this candidate has seen",
  incremental: true
})
const renewal = Metric.histogram("leader_election_renewal_seconds", {
  description: "From sending a renewal to its success",
  boundaries: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})
const remainingValidity = Metric.gauge("leader_election_remaining_validity_seconds", {
  description: "How long this candidate may lead if no further renewal succeeds"
})
const overruns = Metric.counter("leader_election_overruns_total", {
  description: "Terms whose work still ran when another candidate could lead",
  incremental: true
})

export { define as of }
