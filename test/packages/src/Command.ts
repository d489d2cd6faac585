/**
 * Programs run to their end.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import * as path from "node:path"
import { root } from "./Repository.ts"

export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  exitCode: Schema.Number,
  output: Schema.String
}) {
  override get message() {
    return `${this.command} ended with ${this.exitCode}:\n${this.output}`
  }
}

export interface Result {
  readonly exitCode: number
  /** Standard output and standard error as they came. */
  readonly output: string
}

/** Runs the program; the result says how it ended. */
export const attempt = Effect.fnUntraced(function* (cwd: string, command: ReadonlyArray<string>) {
  const [program = "", ...args] = command
  const child = yield* ChildProcess.make(program, args, {
    cwd,
    // A colour in the output would end up in an assertion.
    env: { NO_COLOR: "1", FORCE_COLOR: "0" },
    extendEnv: true,
    stdin: "ignore",
    detached: false,
    forceKillAfter: "5 seconds"
  })
  const output = yield* child.all.pipe(Stream.decodeText(), Stream.mkString)
  const result: Result = { exitCode: yield* child.exitCode, output }
  return result
}, Effect.scoped)

/** Runs the program and returns its output; fails when the program fails. */
export const run = Effect.fnUntraced(function* (cwd: string, command: ReadonlyArray<string>) {
  const { exitCode, output } = yield* attempt(cwd, command)
  return exitCode === 0 ? output : yield* new CommandFailed({ command: command.join(" "), exitCode, output })
})

/** The pnpm that runs the tests, or the one that the README names. */
export const pnpm: ReadonlyArray<string> = path.basename(process.env["npm_execpath"] ?? "").startsWith("pnpm")
  ? [process.env["npm_execpath"] ?? ""]
  : ["npx", "-y", "pnpm@12"]

export const tsc = `${root}node_modules/.bin/tsc`
export const oxlint = `${root}node_modules/.bin/oxlint`
export const node = process.execPath
