/**
 * Shows the stage: on a terminal as a view that is drawn again and again, elsewhere as plain lines as things happen. The
 * terminal is as it was afterwards, whatever ends the demo.
 */
import { Clock, Effect, Fiber, Schedule, Stream, SubscriptionRef, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import { Stage } from "./Stage.ts"
import { paint, type Line } from "./Text.ts"
import * as View from "./View.ts"
import { restore } from "./Watchdog.ts"

export const print = Effect.fnUntraced(function* (lines: ReadonlyArray<Line>) {
  const terminal = yield* Terminal.Terminal
  const { canColor } = yield* TerminalCapabilities
  if (lines.length > 0) yield* terminal.display(lines.map((line) => `${paint(line, canColor)}\n`).join(""))
})

/** How much fits on a line: without a terminal, anything. */
export const width = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  const { canAnimate } = yield* TerminalCapabilities
  return canAnimate ? yield* terminal.columns : Infinity
})

/**
 * Shows until the scope ends, and leaves all that happened as plain lines. The result never succeeds; it fails when
 * nothing can be shown any more.
 */
export const show = Effect.fnUntraced(function* (place: string) {
  const { scene } = yield* Stage
  const { canAnimate } = yield* TerminalCapabilities
  let printed = 0
  const printNews = Effect.gen(function* () {
    const now = yield* SubscriptionRef.get(scene)
    const columns = yield* width
    const lines = now.notes.slice(printed).flatMap((note) => View.noteLines(now, note, columns))
    printed = now.notes.length
    yield* print(lines)
  })
  yield* Effect.addFinalizer(() => Effect.ignore(printNews))
  if (canAnimate) yield* alternateScreen
  const showing = canAnimate
    ? Effect.repeat(draw(place), Schedule.spaced("100 millis"))
    : Stream.runForEach(SubscriptionRef.changes(scene), () => printNews)
  const fiber = yield* Effect.forkScoped(showing)
  return Effect.andThen(Fiber.join(fiber), Effect.never)
})

const draw = Effect.fnUntraced(function* (place: string) {
  const { scene } = yield* Stage
  const terminal = yield* Terminal.Terminal
  const { canColor } = yield* TerminalCapabilities
  const screen = {
    place,
    now: yield* Clock.currentTimeMillis,
    columns: yield* terminal.columns,
    rows: yield* terminal.rows
  }
  const lines = View.frame(yield* SubscriptionRef.get(scene), screen)
  // Each line clears its own rest, so that nothing flickers.
  const drawn = lines.map((line) => `${paint(line, canColor)}\u001b[K`).join("\r\n")
  yield* terminal.display(`\u001b[H${drawn}\u001b[J`)
})

const alternateScreen = Effect.acquireRelease(
  Effect.sync(() => {
    // Also if the process ends by an error that no finalizer sees.
    process.on("exit", leave)
    process.stdout.write("\u001b[?1049h\u001b[?25l")
  }),
  () =>
    Effect.sync(() => {
      process.off("exit", leave)
      leave()
    })
)

const leave = () => {
  process.stdout.write(restore)
}
