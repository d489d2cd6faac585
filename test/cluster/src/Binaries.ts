/**
 * Finds the programs of a control plane, and builds from Go sources what is not there.
 *
 * A program is looked for in `KUBEBUILDER_ASSETS` (the ecosystem's own name for a folder of ready binaries), then in a
 * cache folder of the user which is keyed by the versions in the `go.mod` files. What neither holds is built into the cache
 * with `go`: minutes once, then never again. Only what is asked for is built. Another program of the two Go modules is
 * one more line in `sources` and one more import in the module's `tools.go`.
 */
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schema from "effect/Schema"
import type { Scope } from "effect/Scope"
import * as Stream from "effect/Stream"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import * as BuildLock from "./BuildLock.ts"
import { inRealTime } from "./RealTime.ts"

const sources = {
  etcd: { module: "etcd", package: "go.etcd.io/etcd/server/v3" },
  "kube-apiserver": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-apiserver" },
  "kube-controller-manager": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-controller-manager" },
  "kube-scheduler": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-scheduler" },
  kubectl: { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kubectl" }
} as const

const modules = {
  etcd: "go.etcd.io/etcd/server/v3",
  kubernetes: "k8s.io/kubernetes"
} as const

export type Program = keyof typeof sources

/** Where each program is. */
export type Paths = { readonly [P in Program]: string }

/** `KUBEBUILDER_ASSETS` names a folder that does not exist. */
export class AssetsNotFound extends Schema.TaggedError<AssetsNotFound>()("AssetsNotFound", {
  folder: Schema.String
}) {
  override get message() {
    return `KUBEBUILDER_ASSETS names ${this.folder}, which is no folder`
  }
}

/** A program is nowhere, and there is no `go` to build it. */
export class NoGo extends Schema.TaggedError<NoGo>()("NoGo", {
  missing: Schema.Array(Schema.String),
  cache: Schema.String
}) {
  override get message() {
    return (
      `${this.missing.join(", ")}: not in KUBEBUILDER_ASSETS, not in ${this.cache}, and no go on the PATH to build from. ` +
      `Set KUBEBUILDER_ASSETS to a folder which holds the programs (setup-envtest makes one), or install Go 1.26 or newer`
    )
  }
}

/** `go build` failed: the end of what it said. */
export class BuildFailed extends Schema.TaggedError<BuildFailed>()("BuildFailed", {
  program: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `go build of ${this.program} failed (Go 1.26 or newer and a Go module proxy are needed):\n${this.output}`
  }
}

/** A file could not be read or written. */
export class CacheUnusable extends Schema.TaggedError<CacheUnusable>()("CacheUnusable", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `the programs cannot be looked for or stored: ${String(this.cause)}`
  }
}

export class BinariesError extends Schema.TaggedError<BinariesError>()("BinariesError", {
  reason: Schema.Union([AssetsNotFound, NoGo, BuildFailed, CacheUnusable])
}) {
  override get message() {
    return this.reason.message
  }
}

type Platform = FileSystem.FileSystem | Path.Path | ChildProcessSpawner

/** The paths of the programs needed, after building those that are missing. */
export const find = Effect.fn("Binaries.find")(
  function* <P extends Program>(
    needed: ReadonlyArray<P>
  ): Effect.fn.Return<Pick<Paths, P>, BinariesError | PlatformError | Config.ConfigError, Platform | Scope> {
    const fs = yield* FileSystem.FileSystem
    const places = yield* findPlaces
    const paths = yield* locate(places)
    const missing = Effect.filter(needed, (program) => Effect.map(fs.exists(paths[program]), (exists) => !exists))

    if ((yield* missing).length > 0) {
      yield* requireGo(yield* missing, places.cache)
      yield* fs.makeDirectory(places.cache, { recursive: true })
      yield* BuildLock.acquire(`${places.cache}.lock`)
      yield* build(yield* missing, places)
    }
    return paths
  },
  Effect.scoped,
  Effect.catchTags({
    PlatformError: (cause) => new BinariesError({ reason: new CacheUnusable({ cause }) }),
    ConfigError: (cause) => new BinariesError({ reason: new CacheUnusable({ cause }) })
  }),
  inRealTime
)

interface Places {
  readonly versions: { readonly [M in keyof typeof modules]: string }
  readonly assets: Option.Option<string>
  readonly cache: string
}

const goFolder = (module: keyof typeof modules) => fileURLToPath(new URL(`../go/${module}`, import.meta.url))

const findPlaces: Effect.Effect<Places, BinariesError | PlatformError | Config.ConfigError, Platform> = Effect.gen(
  function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path

    const assets = yield* variable("KUBEBUILDER_ASSETS")
    if (Option.isSome(assets) && !(yield* fs.exists(assets.value))) {
      return yield* new BinariesError({ reason: new AssetsNotFound({ folder: assets.value }) })
    }
    const versions = yield* Effect.all({ etcd: version("etcd"), kubernetes: version("kubernetes") })
    const home = Option.getOrElse(yield* variable("XDG_CACHE_HOME"), () => path.join(os.homedir(), ".cache"))
    const key = `etcd-${versions.etcd}-kubernetes-${versions.kubernetes}`
    return { versions, assets, cache: path.join(home, "effect-leader", "control-plane", key) }
  }
)

/** An environment variable; one that is set to nothing counts as absent. */
const variable = (name: string) =>
  Config.option(Config.String(name)).pipe(Effect.map(Option.filter((value) => value !== "")))

const version = Effect.fnUntraced(function* (module: keyof typeof modules) {
  const fs = yield* FileSystem.FileSystem
  const file = `${goFolder(module)}/go.mod`
  const required = `require ${modules[module]} v`
  const line = (yield* fs.readFileString(file)).split("\n").find((line) => line.startsWith(required))
  return line === undefined ? yield* Effect.die(`${file} has no line "${required}..."`) : line.slice(required.length)
})

const locate = Effect.fnUntraced(function* (places: Places) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const at = Effect.fnUntraced(function* (program: Program) {
    const ready = Option.map(places.assets, (folder) => path.join(folder, program))
    return Option.isSome(ready) && (yield* fs.exists(ready.value)) ? ready.value : path.join(places.cache, program)
  })
  return yield* Effect.all({
    etcd: at("etcd"),
    "kube-apiserver": at("kube-apiserver"),
    "kube-controller-manager": at("kube-controller-manager"),
    "kube-scheduler": at("kube-scheduler"),
    kubectl: at("kubectl")
  })
})

const requireGo = (missing: ReadonlyArray<Program>, cache: string) =>
  ChildProcess.make("go", ["version"], { stdout: "ignore", stderr: "ignore" }).pipe(
    Effect.flatMap((go) => go.exitCode),
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => new BinariesError({ reason: new NoGo({ missing, cache }) })
    )
  )

const build = Effect.fnUntraced(function* (missing: ReadonlyArray<Program>, places: Places) {
  if (missing.length === 0) return
  const named = missing.map((program) => `${program} ${places.versions[sources[program].module]}`).join(", ")
  yield* Console.error(`building ${named} from Go sources into ${places.cache}: about 5 minutes, once`)

  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // Beside the final names, so that the rename stays on one file system.
  const unfinished = yield* fs.makeTempDirectoryScoped({ directory: places.cache, prefix: "unfinished-" })
  yield* Effect.forEach(missing, (program) =>
    compile(program, places, path.join(unfinished, program)).pipe(
      Effect.andThen(fs.rename(path.join(unfinished, program), path.join(places.cache, program)))
    )
  )
})

const compile = Effect.fnUntraced(function* (program: Program, places: Places, target: string) {
  const source = sources[program]
  const versionFlag =
    source.module === "kubernetes" ? ` -X k8s.io/component-base/version.gitVersion=v${places.versions.kubernetes}` : ""
  const go = yield* ChildProcess.make(
    "go",
    [
      "build",
      "-mod=readonly",
      "-buildvcs=false",
      "-trimpath",
      "-ldflags",
      `-s -w${versionFlag}`,
      "-o",
      target,
      source.package
    ],
    {
      cwd: goFolder(source.module),
      env: { CGO_ENABLED: "0", GOWORK: "off" },
      extendEnv: true,
      // In this process's group, so that Ctrl-C in a terminal ends the compiler too.
      detached: false,
      forceKillAfter: "5 seconds"
    }
  )
  const output = yield* go.all.pipe(Stream.decodeText(), Stream.mkString)
  if ((yield* go.exitCode) !== 0) {
    return yield* new BinariesError({ reason: new BuildFailed({ program, output: output.slice(-4000) }) })
  }
}, Effect.scoped)
