/**
 * The faults by which leaders of client-go overlap, as scripts that know nothing of the kind they are played on: three
 * candidates, one of which leads, and then the leader's process stops for a while, or its connection fails. Each
 * returns for how long two have worked at the same time.
 */
import { ApiServer } from "@effect-leader/test-end-to-end/src/ApiServer.ts"
import type { Violation } from "@effect-leader/test-end-to-end/src/History.ts"
import type { Timings } from "@effect-leader/test-end-to-end/src/Replicas.ts"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import { type Candidates, isOurs, type Kind, type Leader } from "./Candidates.ts"
import * as LeaseVersions from "./LeaseVersions.ts"
import { overlapOf } from "./Overlap.ts"
import { sharedLease } from "./Stage.ts"

export interface Scene {
  readonly timings: Timings
  readonly leader: Kind
  readonly followers: Kind
  /** See Candidates. */
  readonly requestTimeout?: number
  readonly finalizer?: number
  /** In seconds, of an answer. Default: 4.9. */
  readonly lateBy?: number
}

export interface Outcome {
  /** From the last renewal that the API server carried out to the next leader's work. */
  readonly takeover: bigint
  /** For how long both worked. */
  readonly overlap: bigint
  /** For how long a term of ours has worked on beside one that began later, whichever kind that was. */
  readonly overlapByOurs: bigint
  /** All that the history checker finds. */
  readonly violations: ReadonlyArray<Violation>
}

/** The leader's process is stopped until another leads and works, and then continued. */
export const frozen = Effect.fnUntraced(function* (scene: Scene) {
  const { timings } = scene
  const { candidates, lease } = yield* sharedLease(scene)
  const versions = yield* LeaseVersions.follow(lease)
  const leader = yield* leading(candidates, scene)

  // Between two renewals: a request that is under way would run into its timeout, and client-go would notice at once.
  const renewedAt = yield* nextRenewal(candidates, versions)
  yield* Effect.sleep(timings.retryPeriod * 200)
  yield* leader.candidate.freeze
  const next = yield* candidates.nextLeader(leader)
  yield* Effect.sleep("500 millis")
  yield* leader.candidate.thaw
  yield* Effect.sleep((timings.renewDeadline + timings.retryPeriod + 1) * 1000)

  return yield* outcome(candidates, leader, next, renewedAt)
}, Effect.scoped)

/** One PUT is answered late, though not too late for its sender, and from then on nothing of the leader arrives. */
export const lateAnswer = Effect.fnUntraced(function* (scene: Scene) {
  const { timings } = scene
  const server = yield* ApiServer
  const { candidates } = yield* sharedLease(scene)
  const proxy = yield* FaultProxy.make({ upstream: { url: server.url, ca: server.ca } })
  const leader = yield* leading(candidates, scene, proxy)

  const late = FaultProxy.delayAnswer((scene.lateBy ?? 4.9) * 1000)
  const put = yield* proxy.inject({ on: { method: "PUT", times: 1 }, fault: late })
  yield* proxy.inject({ on: { watch: true }, fault: FaultProxy.silentWatch })
  yield* proxy.inject({ fault: FaultProxy.blackHole() })
  yield* put.untilHit
  const renewedAt = process.hrtime.bigint()
  const next = yield* candidates.nextLeader(leader)
  // Its deadline, and a release that gets no answer either.
  yield* Effect.sleep((timings.renewDeadline + timings.renewDeadline / 2 + 1) * 1000)

  return yield* outcome(candidates, leader, next, renewedAt)
}, Effect.scoped)

/**
 * The leader is cut off until another leads, and connected again while it gives the Lease back. What a client-go leader
 * gives back then is the other's Lease.
 */
export const lateRelease = Effect.fnUntraced(function* (scene: Scene) {
  const { timings } = scene
  const server = yield* ApiServer
  const { candidates, lease } = yield* sharedLease(scene)
  const versions = yield* LeaseVersions.follow(lease)
  const proxy = yield* FaultProxy.make({ upstream: { url: server.url, ca: server.ca } })
  const leader = yield* leading(candidates, scene, proxy)

  const renewedAt = yield* nextRenewal(candidates, versions)
  yield* Effect.sleep(timings.retryPeriod * 200)
  yield* proxy.inject({ fault: FaultProxy.partition })
  const next = yield* candidates.nextLeader(leader)
  yield* Effect.sleep("500 millis")
  yield* proxy.healAll
  yield* Effect.sleep(timings.leaseDuration * 1000)

  return yield* outcome(candidates, leader, next, renewedAt)
}, Effect.scoped)

const leading = Effect.fnUntraced(function* (candidates: Candidates, scene: Scene, proxy?: FaultProxy.FaultProxy) {
  yield* candidates.start(scene.leader, proxy)
  const leader = yield* candidates.nextLeader()
  const followers = [yield* candidates.start(scene.followers), yield* candidates.start(scene.followers)]
  for (const follower of followers) yield* candidates.untilItFollows(follower, leader)
  return leader
})

/** Waits for the next one and returns its instant, as its sender has it. */
const nextRenewal = Effect.fnUntraced(function* (candidates: Candidates, versions: LeaseVersions.Versions) {
  const before = versions().length
  const renewed = yield* candidates.until(() => versions()[before])
  return LeaseVersions.instantOf(renewed.spec.renewTime)
})

const outcome = Effect.fnUntraced(function* (
  candidates: Candidates,
  leader: Leader,
  next: Leader,
  renewedAt: bigint
): Effect.fn.Return<Outcome> {
  const [former, latter] = [yield* candidates.termOf(leader), yield* candidates.termOf(next)]
  const terms = candidates.terms()
  const pauses = candidates.pauses()
  return {
    takeover: latter.startedAt - renewedAt,
    overlap: overlapOf(former, latter, pauses),
    overlapByOurs: terms
      .flatMap((earlier, index) => terms.slice(index + 1).map((later) => ({ earlier, later })))
      .filter(({ earlier }) => isOurs(earlier.identity))
      .reduce((sum, { earlier, later }) => sum + overlapOf(earlier, later, pauses), 0n),
    violations: yield* candidates.violations
  }
})
