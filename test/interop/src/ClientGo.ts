/**
 * The client-go candidate as a program: built once from the Go module beside this folder, and kept in the cache folder of
 * the user under the version of client-go and a hash of the sources, so that a changed source is another program.
 */
import * as BuildLock from "@effect-leader/test-cluster/BuildLock"
import { inRealTime } from "@effect-leader/test-cluster/RealTime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as os from "node:os"
import { fileURLToPath } from "node:url"

/** The candidate is not in the cache, and there is no `go` to build it. */
export class NoGo extends Schema.TaggedError<NoGo>()("NoGo", { path: Schema.String }) {
  override get message() {
    return `there is no client-go candidate at ${this.path} and no go on the PATH to build it: install Go 1.26 or newer`
  }
}

/** `go build` failed: the end of what it said. */
export class BuildFailed extends Schema.TaggedError<BuildFailed>()("BuildFailed", { output: Schema.String }) {
  override get message() {
    return `go build of the client-go candidate failed (it needs a Go module proxy):\n${this.output}`
  }
}

export class ClientGo extends Context.Service<
  ClientGo,
  {
    /** Of client-go, without the v. */
    readonly version: string
    /** Where the program is. */
    readonly path: string
  }
>()("@effect-leader/test-interop/ClientGo") {}

const folder = fileURLToPath(new URL("../go", import.meta.url))
const program = "candidate"

const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const sources = yield* read
  const version = yield* clientGoVersion(sources.get("go.mod") ?? "")
  const xdg = Option.filter(yield* Config.option(Config.String("XDG_CACHE_HOME")), (value) => value !== "")
  const home = Option.getOrElse(xdg, () => path.join(os.homedir(), ".cache"))
  const cache = path.join(home, "effect-leader", "interop", `client-go-${version}-${hashOf(sources)}`)
  const target = path.join(cache, program)

  if (!(yield* fs.exists(target))) {
    yield* requireGo(target)
    yield* fs.makeDirectory(cache, { recursive: true })
    yield* BuildLock.acquire(`${cache}.lock`)
    // Another run may have built it while this one waited.
    if (!(yield* fs.exists(target))) yield* build(cache, target)
  }
  return ClientGo.of({ version, path: target })
}).pipe(Effect.scoped, inRealTime)

export const layer = Layer.effect(ClientGo, make).pipe(Layer.provide(NodeServices.layer))

const read = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const names = (yield* fs.readDirectory(folder)).toSorted()
  const texts = yield* Effect.forEach(names, (name) => fs.readFileString(`${folder}/${name}`))
  return new Map(names.map((name, index) => [name, texts[index] ?? ""]))
})

const hashOf = (sources: ReadonlyMap<string, string>) =>
  createHash("sha256")
    .update(JSON.stringify([...sources]))
    .digest("hex")
    .slice(0, 12)

const clientGoVersion = (goMod: string) => {
  const version = /^\s*k8s\.io\/client-go v(\S+)$/m.exec(goMod)?.[1]
  return version === undefined ? Effect.die(new Error("go.mod does not require client-go")) : Effect.succeed(version)
}

const requireGo = (path: string) =>
  ChildProcess.make("go", ["version"], { stdout: "ignore", stderr: "ignore" }).pipe(
    Effect.flatMap((go) => go.exitCode),
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => new NoGo({ path })
    )
  )

const build = Effect.fnUntraced(function* (cache: string, target: string) {
  yield* Console.error(`building the client-go candidate into ${cache}: a minute at most, once`)
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // Beside the final name, so that the rename stays on one file system.
  const unfinished = path.join(yield* fs.makeTempDirectoryScoped({ directory: cache, prefix: "unfinished-" }), program)
  const flags = ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w"]
  const go = yield* ChildProcess.make("go", ["build", ...flags, "-o", unfinished, "."], {
    cwd: folder,
    env: { CGO_ENABLED: "0", GOWORK: "off" },
    extendEnv: true,
    // In this process's group, so that Ctrl-C in a terminal ends the compiler too.
    detached: false,
    forceKillAfter: "5 seconds"
  })
  const output = yield* go.all.pipe(Stream.decodeText(), Stream.mkString)
  if ((yield* go.exitCode) !== 0) return yield* new BuildFailed({ output: output.slice(-4000) })
  yield* fs.rename(unfinished, target)
})
