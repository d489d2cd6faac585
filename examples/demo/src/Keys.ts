/**
 * The keys of `--keep`: a person does to the leader what the script did. Without a terminal there are none, and the demo
 * stays on until it is told to end.
 */
import { Effect, Schema, Stream, SubscriptionRef, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Script from "./Script.ts"
import { Stage } from "./Stage.ts"

/** Ctrl-C, which is a key like others once keys are read one by one. */
export class Interrupted extends Schema.TaggedError<Interrupted>()("Interrupted", {}) {}

export const isAvailable = Effect.map(TerminalCapabilities, ({ canPrompt }) => canPrompt)

/** Ends when the person quits; before the script is over, that is all a key does. */
export const obey = Effect.gen(function* () {
  if (!(yield* isAvailable)) return yield* Effect.never
  const terminal = yield* Terminal.Terminal
  const { scene } = yield* Stage
  const keys = yield* terminal.readInput
  yield* Stream.fromQueue(keys).pipe(
    Stream.takeWhile(({ key }) => key.name !== "q"),
    Stream.runForEach(({ key }) =>
      Effect.gen(function* () {
        if (key.ctrl && key.name === "c") return yield* new Interrupted()
        const { control, replicas } = yield* SubscriptionRef.get(scene)
        if (control === "script") return
        if (key.name === "k") yield* Script.inject("kill")
        if (key.name === "t") yield* Script.inject("terminate")
        if (key.name === "f") {
          yield* replicas.some(({ status }) => status === "frozen") ? Script.thaw : Script.inject("freeze")
        }
      })
    )
  )
})
