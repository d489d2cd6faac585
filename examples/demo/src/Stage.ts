/**
 * Where the demo keeps its one scene: everything that happens is told to it, everything that waits or shows looks at it.
 */
import { Clock, Context, Effect, Layer, Stream, SubscriptionRef } from "effect"
import type { Happening } from "./Scene.ts"
import * as Scene from "./Scene.ts"

type WithoutTime<H> = H extends Happening ? Omit<H, "at"> : never

export class Stage extends Context.Service<
  Stage,
  {
    readonly scene: SubscriptionRef.SubscriptionRef<Scene.Scene>
    /** It happens now. */
    readonly tell: (happening: WithoutTime<Happening>) => Effect.Effect<void>
    readonly until: (condition: (scene: Scene.Scene) => boolean) => Effect.Effect<void>
  }
>()("effect-leader-demo/Stage") {
  static readonly layer = Layer.effect(
    Stage,
    Effect.gen(function* () {
      const scene = yield* SubscriptionRef.make(Scene.empty(yield* Clock.currentTimeMillis))
      return Stage.of({
        scene,
        tell: (happening) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) =>
            SubscriptionRef.update(scene, (before) => Scene.reduce(before, { ...happening, at }))
          ),
        until: (condition) =>
          SubscriptionRef.changes(scene).pipe(Stream.filter(condition), Stream.runHead, Effect.asVoid)
      })
    })
  )
}
