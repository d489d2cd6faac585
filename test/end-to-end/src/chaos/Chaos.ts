/**
 * Carries out a plan of faults on the stage, and keeps when each began and ended. Every fault ends by itself: the process
 * is back, the server runs, the rule is healed, also when the run is interrupted in the middle of it.
 */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import type { User } from "../ApiServer.ts"
import type { Replica } from "../Replicas.ts"
import { Stage } from "../Stage.ts"
import type * as Plan from "./Plan.ts"

/** A fault that was carried out. */
export interface Carried {
  readonly fault: Plan.Fault
  readonly user: User | undefined
  readonly from: bigint
  readonly until: bigint
}

export interface Chaos {
  /** All faults of a step, and returns when the last has ended. */
  readonly play: (step: Plan.Step) => Effect.Effect<void, never, ControlPlane>
  /** In the order of their ends. */
  readonly carried: () => ReadonlyArray<Carried>
}

/** How long a process may take to end after SIGTERM, whatever is wrong around it. */
const endsWithin = "30 seconds"

export const make = Effect.gen(function* () {
  const stage = yield* Stage
  const carried: Array<Carried> = []

  const userOf = (target: Plan.Target): Effect.Effect<User> =>
    target === "leader"
      ? Effect.map(stage.replicas.nextLeader(), ({ replica }) => replica.user)
      : Effect.succeed(target)

  /** Waits for the end of a process that was told to end, and puts the next one in its place. */
  const replace = (replica: Replica, after: number) =>
    replica.exit.pipe(
      Effect.timeoutOrElse({
        duration: endsWithin,
        orElse: () => Effect.die(new Error(`${replica.identity} (pid ${replica.pid}) was told to end and did not`))
      }),
      Effect.andThen(Effect.sleep(after)),
      Effect.andThen(stage.restart(replica.user)),
      Effect.asVoid
    )

  const untilInPut = (user: User, late: number) =>
    Effect.gen(function* () {
      const fault = FaultProxy.delayAnswer(late)
      const { heal, untilHit } = yield* stage.proxy(user).inject({ on: { method: "PUT", times: 1 }, fault })
      // A follower writes nothing, and a leader that is cut off does not either.
      yield* Effect.timeoutOption(untilHit, "2 seconds")
      yield* heal
    })

  const between = <E, R>(begin: Effect.Effect<void>, lasts: number, end: Effect.Effect<void, E, R>) =>
    Effect.acquireUseRelease(
      begin,
      () => Effect.sleep(lasts),
      () => Effect.orDie(end)
    )

  const carryOut = Effect.fnUntraced(function* (fault: Plan.Fault, user: User | undefined, lasts: number) {
    const plane = yield* ControlPlane
    switch (fault._tag) {
      case "KillApiServer":
        return yield* between(plane.killApiServer, lasts, plane.startApiServer)
      case "KillEtcd":
        return yield* between(plane.killEtcd, lasts, plane.startEtcd)
      case "FreezeApiServer":
        return yield* between(plane.freezeApiServer, lasts, plane.thawApiServer)
      case "FreezeEtcd":
        return yield* between(plane.freezeEtcd, lasts, plane.thawEtcd)
      case "FreezeBoth":
        return yield* between(
          Effect.andThen(plane.freezeApiServer, plane.freezeEtcd),
          lasts,
          Effect.andThen(plane.thawEtcd, plane.thawApiServer)
        )
      default:
        return user === undefined ? undefined : yield* carryOutOn(fault, user, lasts)
    }
  })

  const carryOutOn = Effect.fnUntraced(function* (
    fault: Extract<Plan.Fault, { readonly target: Plan.Target }>,
    user: User,
    lasts: number
  ) {
    const replica = stage.replica(user)
    switch (fault._tag) {
      case "Network": {
        const { heal } = yield* stage.proxy(user).inject(fault.rule)
        return yield* Effect.ensuring(Effect.sleep(lasts), heal)
      }
      case "Freeze":
        return yield* between(Effect.asVoid(replica.freeze), lasts, replica.thaw)
      case "Kill":
        return yield* Effect.andThen(replica.kill, replace(replica, lasts))
      case "Terminate":
        return yield* Effect.andThen(replica.terminate, replace(replica, lasts))
      case "KillInPut":
        yield* untilInPut(user, fault.late)
        return yield* Effect.andThen(replica.kill, replace(replica, lasts))
      case "TerminateInPut":
        yield* untilInPut(user, fault.late)
        return yield* Effect.andThen(replica.terminate, replace(replica, lasts))
    }
  })

  const played = Effect.fnUntraced(function* ({ begins, fault, lasts }: Plan.Planned) {
    yield* Effect.sleep(begins)
    const user = "target" in fault ? yield* userOf(fault.target) : undefined
    const from = process.hrtime.bigint()
    yield* Effect.ensuring(
      carryOut(fault, user, lasts),
      Effect.sync(() => carried.push({ fault, user, from, until: process.hrtime.bigint() }))
    )
  })

  const chaos: Chaos = {
    play: ({ faults, quiet }) =>
      Effect.andThen(Effect.sleep(quiet), Effect.forEach(faults, played, { concurrency: "unbounded", discard: true })),
    carried: () => carried
  }
  return chaos
})
