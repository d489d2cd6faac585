/**
 * A program of this example as a real process.
 */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { Effect, FileSystem, Option, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"
import * as Pods from "./Pods.ts"

export const command = (program: string, env: Readonly<Record<string, string>>) =>
  ChildProcess.make(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", fileURLToPath(new URL(program, import.meta.url))],
    {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      extendEnv: false,
      stdin: "ignore",
      forceKillAfter: "1 second"
    }
  )

/** Runs it to its end. No code if a signal ended it. */
export const run = Effect.fnUntraced(function* (program: string, env: Readonly<Record<string, string>>) {
  const child = yield* command(program, env)
  const output = yield* child.all.pipe(Stream.decodeText(), Stream.mkString)
  const code = Option.getOrUndefined(yield* Effect.option(child.exitCode))
  return { code, output }
}, Effect.scoped)

/** Starts it, and kills it with SIGKILL once it has said so many lines. Returns all that it said. */
export const killAfter = Effect.fnUntraced(function* (
  lines: number,
  program: string,
  env: Readonly<Record<string, string>>
) {
  const child = yield* command(program, env)
  const said: Array<string> = []
  yield* child.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) =>
      Effect.suspend(() =>
        said.push(line) === lines
          ? Effect.forkDetach(Effect.ignore(child.kill({ killSignal: "SIGKILL" })))
          : Effect.void
      )
    )
  )
  return said
}, Effect.scoped)

/** For a program on the embedded API server, with a store in a folder of its own. */
export const environment = Effect.gen(function* () {
  const server = yield* EmbeddedApiServer.EmbeddedApiServer
  const files = yield* FileSystem.FileSystem
  const folder = yield* Effect.orDie(files.makeTempDirectoryScoped({ prefix: "leader-follower-store-" }))
  yield* server.writeKubeconfig(`${folder}/kubeconfig`)
  return {
    KUBECONFIG: `${folder}/kubeconfig`,
    STORE_FILE: `${folder}/store.db`,
    HOST: "127.0.0.1",
    PORT: `${yield* Pods.freePort}`
  }
})
