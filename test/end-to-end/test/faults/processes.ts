/**
 * Faults of the processes themselves, some at the worst moment of a request.
 */
import { assert, type Vitest } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import type { Stage } from "../../src/Stage.ts"
import { inject, recovery, scene, within } from "./Scene.ts"

type It = Vitest.MethodsNonLive<Stage>

/** Interrupted by a signal, says NodeRuntime.runMain. */
const interrupted = 130
const puts = { method: "PUT" }

export const processFaults = (it: It): void => {
  scene(
    it,
    "a leader that is killed comes back at once with its identity: somebody leads when the lease has run out, and never two",
    Effect.fnUntraced(function* ({ leader, stage }) {
      yield* Effect.andThen(leader.replica.kill, leader.replica.exit)
      yield* stage.restart(leader.replica.user)
      yield* within("killed", "somebody leads", recovery(stage), stage.replicas.nextLeader(leader))
    })
  )

  scene(
    it,
    "a leader that is killed while its PUT is on the way, which the server gets when others already wait",
    Effect.fnUntraced(function* ({ leader, stage }) {
      const [late] = yield* inject(leader.replica.user, { on: puts, fault: FaultProxy.delayRequest("2 seconds") })
      if (late !== undefined) yield* late.untilHit
      yield* Effect.andThen(leader.replica.kill, leader.replica.exit)
      yield* stage.proxy(leader.replica.user).healAll
      yield* within("killed in a PUT", "somebody leads", recovery(stage) + 2, stage.replicas.nextLeader(leader))
      yield* stage.restart(leader.replica.user)
    })
  )

  scene(
    it,
    "a leader that is stopped until another leads, and continued",
    Effect.fnUntraced(function* ({ leader, stage }) {
      yield* leader.replica.freeze
      yield* within("frozen", "another leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* leader.replica.thaw
    })
  )

  scene(
    it,
    "SIGTERM while no PUT is answered any more: the process ends in bounded time, and another leads",
    Effect.fnUntraced(function* ({ leader, stage }) {
      const [hole] = yield* inject(leader.replica.user, { on: { watch: false }, fault: FaultProxy.blackHole() })
      if (hole !== undefined) yield* hole.untilHit
      yield* leader.replica.terminate
      yield* within("SIGTERM in a black hole", "another leads", recovery(stage), stage.replicas.nextLeader(leader))
      const ended = leader.replica.exit
      const exit = yield* within("SIGTERM in a black hole", "the process ends", recovery(stage), ended)
      assert.strictEqual(exit, interrupted)
      yield* stage.restart(leader.replica.user)
    })
  )

  scene(
    it,
    "a leader that is stopped in the middle of a PUT that was carried out, and continued when another leads",
    Effect.fnUntraced(function* ({ leader, stage }) {
      const [late] = yield* inject(leader.replica.user, { on: puts, fault: FaultProxy.delayAnswer("200 millis") })
      if (late !== undefined) yield* late.untilHit
      yield* leader.replica.freeze
      yield* within("frozen in a PUT", "another leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* leader.replica.thaw
    })
  )
}

export const terminatedInPut = (it: It): void => {
  scene(
    it,
    "SIGTERM while a PUT is under way: the work ends, the lock is given back, and another leads at once",
    Effect.fnUntraced(function* ({ leader, stage }) {
      const on = { ...puts, times: 1 }
      const [late] = yield* inject(leader.replica.user, { on, fault: FaultProxy.delayAnswer("500 millis") })
      if (late !== undefined) yield* late.untilHit
      yield* leader.replica.terminate
      const limit = stage.timings.leaseDuration
      yield* within("SIGTERM in a PUT", "another leads", limit, stage.replicas.nextLeader(leader))
      assert.strictEqual(yield* leader.replica.exit, interrupted)
      yield* stage.restart(leader.replica.user)
    })
  )
}
