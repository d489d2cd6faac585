/**
 * One Lease that two candidates of each kind share while it goes round: each kind loses it by a release and by a kill, each
 * time to the other kind. What was written, done and measured on the way is there to be judged.
 *
 * So that it goes to the other kind, the leader's fellow ends first; both come back once the other kind leads.
 */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import { namespace } from "@effect-leader/test-end-to-end/src/ApiServer.ts"
import type { Term, Violation } from "@effect-leader/test-end-to-end/src/History.ts"
import type { Timings } from "@effect-leader/test-end-to-end/src/Replicas.ts"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Candidate, Candidates, Kind, Leader } from "./Candidates.ts"
import * as LeaseVersions from "./LeaseVersions.ts"
import { sharedLease } from "./Stage.ts"

export interface Turn {
  readonly from: Kind
  readonly by: "release" | "kill"
  readonly to: Kind
  /** When the leader was told to end, or killed. */
  readonly at: bigint
  /** When it last sent a renewal, as the Lease says. */
  readonly renewedAt: bigint
  readonly exit: number | string
  readonly former: Term
  readonly next: Term
}

export class Turns extends Context.Service<
  Turns,
  {
    readonly turns: ReadonlyArray<Turn>
    readonly versions: ReadonlyArray<LeaseVersions.Lease>
    readonly terms: ReadonlyArray<Term>
    readonly violations: ReadonlyArray<Violation>
  }
>()("@effect-leader/test-interop/Turns") {}

export const timings: Timings = { leaseDuration: 5, renewDeadline: 4, retryPeriod: 1 }

/** What somebody else puts on the Lease while client-go leads, and while ours do. */
export const labels = { team: "reports" }
export const annotations = { "example.com/contact": "reports@example.com" }

const play = Effect.gen(function* () {
  const { candidates, lease } = yield* sharedLease({ timings })
  const versions = yield* LeaseVersions.follow(lease)
  const edit = Effect.fnUntraced(function* (verb: string, texts: Readonly<Record<string, string>>) {
    const plane = yield* ControlPlane
    const pairs = Object.entries(texts).map(([key, value]) => `${key}=${value}`)
    yield* plane.kubectl([verb, "lease", lease, `--namespace=${namespace}`, ...pairs])
  })

  yield* candidates.start("client-go")
  const first = yield* candidates.nextLeader()
  const fellow = yield* join(candidates, "client-go", first)
  let pair: Pair = { leader: first, fellow, others: yield* joinBoth(candidates, "ours", first) }
  yield* edit("label", labels)

  const turns: Array<Turn> = []
  const turn = Effect.fnUntraced(function* (by: Turn["by"]) {
    const played = yield* takeTurn(candidates, versions, pair, by)
    turns.push(played.turn)
    pair = played.pair
  })
  yield* turn("release")
  yield* edit("annotate", annotations)
  yield* turn("kill")
  yield* turn("kill")
  yield* turn("release")
  // So that the last leader renews.
  yield* Effect.sleep(timings.retryPeriod * 1500)

  const violations = yield* candidates.violations
  return Turns.of({ turns, versions: [...versions()], terms: candidates.terms(), violations })
}).pipe(Effect.scoped)

/** Played once, for all tests that judge it. */
export const layer = Layer.effect(Turns, play)

interface Pair {
  readonly leader: Leader
  /** Of the leader's kind; the others are of the other. */
  readonly fellow: Candidate
  readonly others: readonly [Candidate, Candidate]
}

const takeTurn = Effect.fnUntraced(function* (
  candidates: Candidates,
  versions: LeaseVersions.Versions,
  { fellow, leader, others }: Pair,
  by: Turn["by"]
) {
  const { candidate } = leader
  yield* Effect.andThen(fellow.terminate, fellow.exit)
  // So that the others have seen a renewal when it was made, and not when they came.
  yield* Effect.sleep(timings.retryPeriod * 2500)
  const at = yield* by === "kill" ? candidate.kill : candidate.terminate
  const exit = yield* candidate.exit
  const next = yield* candidates.nextLeader(leader)
  const lastOwn = versions().findLast(({ spec }) => spec.holderIdentity === candidate.identity)
  const turn: Turn = {
    from: candidate.kind,
    by,
    to: next.candidate.kind,
    at,
    renewedAt: lastOwn === undefined ? 0n : LeaseVersions.instantOf(lastOwn.spec.renewTime),
    exit,
    former: yield* candidates.termOf(leader),
    next: yield* candidates.termOf(next)
  }
  const nextFellow = others.find((it) => it !== next.candidate) ?? fellow
  yield* candidates.untilItFollows(nextFellow, next)
  const pair: Pair = { leader: next, fellow: nextFellow, others: yield* joinBoth(candidates, candidate.kind, next) }
  return { turn, pair }
})

const join = Effect.fnUntraced(function* (candidates: Candidates, kind: Kind, leader: Leader) {
  const candidate = yield* candidates.start(kind)
  yield* candidates.untilItFollows(candidate, leader)
  return candidate
})

const joinBoth = (candidates: Candidates, kind: Kind, leader: Leader) =>
  Effect.all([join(candidates, kind, leader), join(candidates, kind, leader)], { concurrency: 2 })
