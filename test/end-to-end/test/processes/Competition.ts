/**
 * What every test of processes begins with: a Lease of its own, three replicas that may use it, one of which leads while
 * the others watch.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { ApiServer, users } from "../../src/ApiServer.ts"
import { inMillis, type Term } from "../../src/History.ts"
import * as Replicas from "../../src/Replicas.ts"

export interface Competition {
  readonly lease: string
  readonly replicas: Replicas.Replicas
  readonly candidates: ReadonlyArray<Replicas.Replica>
  readonly leader: Replicas.Leader
}

export const newLease = Effect.sync(() => `processes-${randomUUID().slice(0, 8)}`)

export const compete = Effect.fnUntraced(function* (options: Omit<Replicas.Options, "lease">) {
  const server = yield* ApiServer
  const lease = yield* newLease
  yield* server.allow(lease)
  const replicas = yield* Replicas.make({ lease, ...options })
  const candidates = yield* Effect.forEach(users, replicas.start)
  const leader = yield* replicas.nextLeader()
  for (const replica of candidates) if (replica !== leader.replica) yield* untilItFollows(replicas, replica, lease)
  const competition: Competition = { lease, replicas, candidates, leader }
  return competition
})

/** Waits until the replica knows a leader and its watch is open. */
export const untilItFollows = Effect.fnUntraced(function* (
  replicas: Replicas.Replicas,
  replica: Replicas.Replica,
  lease: string
) {
  yield* replicas.until(() => replica.entries().find((entry) => "leader" in entry))
  yield* untilItWatches(replica, lease, replica.startedAt)
})

/** Waits until a watch of the replica is open which was opened after an instant. */
export const untilItWatches = Effect.fnUntraced(function* (replica: Replicas.Replica, lease: string, after: bigint) {
  const server = yield* ApiServer
  const isWatching = Effect.map(server.requests, (requests) =>
    requests.some(
      (it) =>
        it.user === replica.user && it.lease === lease && it.verb === "watch" && it.at >= after && it.status === 200
    )
  )
  yield* Effect.repeat(Effect.delay(isWatching, "50 millis"), { until: (watches) => watches })
})

export const termOf = Effect.fnUntraced(function* (replicas: Replicas.Replicas, { token }: Replicas.Leader) {
  const term = (yield* replicas.terms).find((it) => it.token === token)
  return term ?? (yield* Effect.die(new Error(`no term has token ${token}`)))
})

/** When the first piece of work of a term was done. */
export const firstWorkOf = (term: Term): bigint => term.ticks[0] ?? term.startedAt

export const seconds = (count: number): bigint => BigInt(Math.round(count * 1e9))

/** A measured time is for people to read, not for a test to judge. */
export const tell = (what: string, nanos: bigint) => Console.log(`${what}: ${inMillis(nanos).toFixed(1)} ms`)

export const now = Effect.sync(() => process.hrtime.bigint())
