/**
 * What ends the demo besides Ctrl-C and SIGTERM: its terminal is closed, its parent is gone, or nobody reads its output.
 */
import { Effect, Schedule, Schema } from "effect"

export class Abandoned extends Schema.TaggedError<Abandoned>()("Abandoned", { how: Schema.String }) {
  override get message(): string {
    return `ended, because ${this.how}`
  }
}

/** Fails once it happens. */
export const abandoned: Effect.Effect<never, Abandoned> = Effect.suspend(() => {
  const parent = process.ppid
  const orphaned = Effect.sync(() => process.ppid).pipe(
    Effect.repeat({ schedule: Schedule.spaced("500 millis"), while: (now) => now === parent }),
    Effect.andThen(Effect.fail(new Abandoned({ how: "its parent process is gone" })))
  )
  return Effect.raceAllFirst([orphaned, heard(process, "SIGHUP", "its terminal was closed"), unread])
})

const heard = (emitter: NodeJS.EventEmitter, event: string, how: string): Effect.Effect<never, Abandoned> =>
  Effect.callback((resume) => {
    const listener = () => resume(Effect.fail(new Abandoned({ how })))
    emitter.once(event, listener)
    return Effect.sync(() => emitter.off(event, listener))
  })

const unread = heard(process.stdout, "error", "nobody reads its output")
