/**
 * What the demo does: ends and freezes leaders, one way after another, and waits each time until another leads.
 */
import { Effect, Schema, SubscriptionRef } from "effect"
import * as Scene from "./Scene.ts"
import type { Fault } from "./Scene.ts"
import { Replicas } from "./Replicas.ts"
import { Stage } from "./Stage.ts"

export const steps: ReadonlyArray<Fault> = ["kill", "terminate", "freeze"]
export const replicas = 3

/** Something that the demo waits for did not come. */
export class Missed extends Schema.TaggedError<Missed>()("Missed", { what: Schema.String }) {
  override get message(): string {
    return `waited in vain for ${this.what}`
  }
}

const wait = Effect.fnUntraced(function* (what: string, condition: (scene: Scene.Scene) => boolean) {
  const { until } = yield* Stage
  yield* until(condition).pipe(
    Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.fail(new Missed({ what })) })
  )
})

export const run = Effect.gen(function* () {
  yield* complete
  yield* Effect.sleep("2 seconds")

  yield* inject("kill")
  yield* wait("a leader after kill -9", isFollowed)
  yield* complete
  yield* Effect.sleep("2 seconds")

  yield* inject("terminate")
  yield* wait("a leader after SIGTERM", isFollowed)
  yield* complete
  yield* Effect.sleep("2 seconds")

  yield* inject("freeze")
  yield* wait("a leader after SIGSTOP", isFollowed)
  yield* Effect.sleep("2 seconds")
  yield* thaw
  yield* wait("the woken replica to stop its work", (scene) => scene.incidents.at(-1)?.stoppedAt !== undefined)
  yield* Effect.sleep("2 seconds")
})

/** Does it to the leader, if there is one. */
export const inject = Effect.fnUntraced(function* (fault: Fault) {
  const { scene, tell } = yield* Stage
  const { signal } = yield* Replicas
  const leader = Scene.leader(yield* SubscriptionRef.get(scene))
  if (leader === undefined) return
  yield* tell({ _tag: "Faulted", fault, replica: leader.name })
  yield* signal(leader.name, signals[fault])
})

/** Wakes the frozen replicas up. */
export const thaw = Effect.gen(function* () {
  const { scene, tell } = yield* Stage
  const { signal } = yield* Replicas
  for (const { name, status } of (yield* SubscriptionRef.get(scene)).replicas) {
    if (status !== "frozen") continue
    yield* tell({ _tag: "Thawed", replica: name })
    yield* signal(name, "SIGCONT")
  }
})

const signals = { kill: "SIGKILL", terminate: "SIGTERM", freeze: "SIGSTOP" } as const

const isFollowed = (scene: Scene.Scene): boolean => scene.incidents.at(-1)?.next !== undefined

const complete = wait(`a leader and ${replicas - 1} replicas on standby`, (scene) => {
  const living = Scene.alive(scene)
  return (
    living.length === replicas &&
    Scene.leader(scene) !== undefined &&
    living.filter(({ status }) => status === "standby").length === replicas - 1
  )
})
