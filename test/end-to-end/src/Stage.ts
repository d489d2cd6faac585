/**
 * Three replicas of a StatefulSet on one Lease, each behind a fault proxy of its own: what tests of faults play on, one
 * after another. A replica that ended comes back as a new process with the same identity.
 */
import * as ProcessGuard from "@effect-leader/test-cluster/ProcessGuard"
import { FaultProxy } from "@effect-leader/testkit"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { ApiServer, type User, users } from "./ApiServer.ts"
import * as Replicas from "./Replicas.ts"

export class Stage extends Context.Service<
  Stage,
  {
    readonly lease: string
    readonly timings: Replicas.Timings
    readonly replicas: Replicas.Replicas
    readonly proxy: (user: User) => FaultProxy.FaultProxy
    /** The process that is the user's now. */
    readonly replica: (user: User) => Replicas.Replica
    /** A new process with the identity of the former one, which has ended. */
    readonly restart: (user: User) => Effect.Effect<Replicas.Replica>
    /** Waits until someone works after the instant. */
    readonly workerAfter: (instant: bigint) => Effect.Effect<Replicas.Leader>
    /** Waits until one works, and all others follow it with an open watch. */
    readonly untilCalm: Effect.Effect<Replicas.Leader>
    /** What `untilCalm` waits for, apart from somebody who works. */
    readonly unrest: Effect.Effect<ReadonlyArray<string>>
  }
>()("@effect-leader/test-end-to-end/Stage") {}

const make = Effect.fnUntraced(function* (timings: Replicas.Timings) {
  const server = yield* ApiServer
  const lease = `faults-${randomUUID().slice(0, 8)}`
  yield* server.allow(lease)
  const { folder } = yield* ProcessGuard.make("effect-leader-proxies-")
  const kubeconfig = (user: User) => `${folder}/${user}`

  const proxies = new Map<User, FaultProxy.FaultProxy>()
  for (const user of users) {
    const proxy = yield* FaultProxy.make({ upstream: { url: server.url, ca: server.ca } })
    writeFileSync(kubeconfig(user), proxy.kubeconfig(server.token(user)), { mode: 0o600 })
    proxies.set(user, proxy)
  }
  const replicas = yield* Replicas.make({ lease, timings, kubeconfig })
  const current = new Map<User, Replicas.Replica>()
  const restart = (user: User) =>
    Effect.tap(replicas.startAs(user, `${user}-0`), (replica) => Effect.sync(() => current.set(user, replica)))
  for (const user of users) yield* restart(user)

  const of = <A>(map: ReadonlyMap<User, A>, user: User): A => {
    const found = map.get(user)
    if (found === undefined) throw new Error(`nothing was made for ${user}`)
    return found
  }
  const proxy = (user: User) => of(proxies, user)
  const replica = (user: User) => of(current, user)

  const workerAfter = (instant: bigint) =>
    replicas.until(() => {
      for (const replica of current.values()) {
        const tick = replica.entries().findLast((entry) => entry.event === "Tick")
        if (tick !== undefined && tick.event === "Tick" && tick.at > instant) return { replica, token: tick.token }
      }
      return undefined
    })
  const knows = (follower: Replicas.Replica, leader: Replicas.Replica) => {
    const status = follower.entries().findLast((entry) => !("token" in entry))
    if (follower === leader) return status?.event === "Leading"
    return status !== undefined && "leader" in status && status.leader === leader.identity
  }
  const unrestUnder = (leader: Replicas.Leader) =>
    Effect.map(
      Effect.forEach(users, (user) => proxy(user).counts),
      (counts) => [
        ...users.filter((_, index) => counts[index]?.openWatches === 0).map((user) => `${user} has no watch open`),
        ...users
          .filter((user) => !knows(replica(user), leader.replica))
          .map((user) => `${user} does not know that ${leader.replica.identity} leads`)
      ]
    )
  const unrest = Effect.suspend(() => Effect.flatMap(workerAfter(process.hrtime.bigint()), unrestUnder))
  const untilCalm = Effect.gen(function* () {
    const leader = yield* workerAfter(process.hrtime.bigint())
    return (yield* unrestUnder(leader)).length === 0 ? leader : undefined
  }).pipe(
    Effect.delay("20 millis"),
    Effect.repeat({ until: (leader) => leader !== undefined }),
    Effect.flatMap(Effect.fromNullishOr),
    Effect.orDie
  )

  return Stage.of({ lease, timings, replicas, proxy, replica, restart, workerAfter, untilCalm, unrest })
}, Effect.provide(NodeFileSystem.layer))

export const layer = (timings: Replicas.Timings): Layer.Layer<Stage, never, ApiServer> =>
  Layer.effect(Stage, Effect.orDie(make(timings)))
