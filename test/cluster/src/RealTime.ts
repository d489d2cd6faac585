/**
 * Programs outside this process live in real time and report to a real terminal, also when the test that starts them
 * runs on a virtual clock. What waits for such a program is wrapped in `inRealTime`, so that it works in `it.effect`
 * as in `it.live`.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

const real = Context.make(Clock.Clock, Clock.Clock.defaultValue()).pipe(
  Context.add(Console.Console, Console.Console.defaultValue())
)

export const inRealTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideContext(effect, real)
