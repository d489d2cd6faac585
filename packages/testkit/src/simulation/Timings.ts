/**
 * The timings of a simulated election in milliseconds, and how soon after the last fault somebody must lead by them.
 */
import * as Duration from "effect/Duration"
import type { LeaderElection } from "@effect-leader/core"

export interface Timings {
  readonly lease: number
  readonly deadline: number
  readonly retry: number
  readonly request: number
  readonly drain: number
  readonly drift: number
  /** S of docs/protocol.md: when all work must have ended, after a send. */
  readonly stopBy: number
}

/** With the defaults of the core. Whether they are valid is the core's to say. */
export const of = (options: LeaderElection.Options): Timings => {
  const millis = (input: Duration.Input | undefined, initial: number) =>
    input === undefined ? initial : Duration.toMillis(input)
  const lease = millis(options.leaseDuration, 15_000)
  const deadline = millis(options.renewDeadline, 10_000)
  const drift = options.clockDrift ?? 0.01
  return {
    lease,
    deadline,
    retry: millis(options.retryPeriod, 2000),
    request: millis(options.requestTimeout, Math.min(Math.max(deadline / 4, 1000), deadline / 2)),
    drain: millis(options.drainTimeout, 20_000),
    drift,
    stopBy: (lease * (1 - drift)) / (1 + drift)
  }
}

/**
 * A follower may not have seen the last renewal: it reads after a backoff, or after the patience it has with a silent
 * watch, counts a whole lease from there, and contests; a request that is under way has to time out first, and who has
 * resigned rests. Where the network has asked for patience (Retry-After) or refused for good, that comes on top.
 */
export const leaderWithin = ({ deadline, drift, lease, request, retry }: Timings, longestWait: number): number => {
  const notice = Math.max(Math.min(deadline, retry * 3), retry * 1.2)
  const rest = retry * 1.2 + request
  return (lease + notice + rest + request * 2 + retry * 1.2 + longestWait + 1000) / (1 - drift)
}
