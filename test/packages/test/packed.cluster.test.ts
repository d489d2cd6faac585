/**
 * The packages as a user gets them: what is in the tarballs, and that an empty project in which they are installed
 * compiles and runs.
 */
import * as attw from "@arethetypeswrong/core"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import * as Command from "../src/Command.ts"
import { type Packed, Release } from "../src/Release.ts"
import { Manifest, root } from "../src/Repository.ts"

/** What a tarball holds, by path below its package folder. */
const unpack = Effect.fnUntraced(function* (packed: Packed) {
  const fs = yield* FileSystem.FileSystem
  const tarball = attw.createPackageFromTarballData(yield* fs.readFile(packed.tarball))
  const top = `/node_modules/${packed.manifest.name}/`
  return {
    tarball,
    files: tarball.listFiles().map((file) => file.slice(top.length)),
    read: (file: string) => tarball.readFile(top + file)
  }
})

const SourceMap = Schema.fromJsonString(Schema.Struct({ sources: Schema.Array(Schema.String) }))

const Target = Schema.Struct({ types: Schema.String, default: Schema.String })

/** A module that goes through the types of each package. It exports all, so all that it infers must have a name. */
const reports = `
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { Effect, Layer } from "effect"

export class Reports extends LeaderElection.Service<Reports>()("user/Reports") {}

export const job = Effect.gen(function* () {
  const term = yield* Reports.Term
  yield* term.guard(Effect.log("guarded"))
  return term.token
})
export const elected = Reports.runAsLeader(job)
export const inMemory = Reports.layerConfig().pipe(Layer.provide(LeaseLock.layerMemory()))
export const onKubernetes = LeaderElection.layer().pipe(
  Layer.provide(KubernetesLock.layerLease({ name: "reports" })),
  Layer.provide(KubernetesClient.layer)
)
export const server = EmbeddedApiServer.layer()

// @ts-expect-error leader work does not run outside its election
export const wrong = () => Effect.runPromise(job)
`

/** A program that imports every entry point and elects: in memory, and on a Lease over TLS. */
const main = (entryPoints: ReadonlyArray<string>) => `
${entryPoints.map((entryPoint, index) => `import * as entry${index} from "${entryPoint}"`).join("\n")}
import { LeaderElection } from "@effect-leader/core"
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { elected, inMemory } from "./reports.js"

for (const entry of [${entryPoints.map((_, index) => `entry${index}`).join(", ")}]) {
  if (Object.keys(entry).length === 0) throw new Error("an empty module")
}

const onLease = Effect.gen(function* () {
  const server = yield* EmbeddedApiServer.EmbeddedApiServer
  yield* server.writeKubeconfig("kubeconfig")
  const election = LeaderElection.layer().pipe(
    Layer.provide(KubernetesLock.layerLease({ name: "reports" })),
    Layer.provide(KubernetesClient.layerKubeConfig("kubeconfig"))
  )
  const job = Effect.map(LeaderElection.Term, (term) => term.isValid())
  return yield* LeaderElection.runAsLeader(job).pipe(Effect.provide(election))
}).pipe(Effect.provide(EmbeddedApiServer.layer({ tls: true })))

Effect.gen(function* () {
  const token: bigint = yield* Effect.provide(elected, inMemory)
  yield* Console.log("token", token)
  yield* Console.log("led on a Lease:", yield* onLease)
}).pipe(NodeRuntime.runMain)
`

const tsconfig = {
  compilerOptions: {
    target: "ES2023",
    module: "NodeNext",
    outDir: "dist",
    // All that can be wrong with the types of a dependency shows itself.
    declaration: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ["node"]
  },
  include: ["*.ts"]
}

/** The version that this repository works with, so that the store has it already. */
const versionHere = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  const manifest = yield* fs.readFileString(`${root}test/packages/node_modules/${name}/package.json`)
  return [name, (yield* Manifest.parse(manifest)).version] as const
})

const release = Release.layer.pipe(Layer.provideMerge(NodeServices.layer))

layer(release, { excludeTestServices: true, timeout: "2 minutes" })("a packed package", (it) => {
  it.effect("holds what its users need, and nothing else", () =>
    Effect.gen(function* () {
      for (const packed of yield* Release) {
        const { files, read } = yield* unpack(packed)
        const { name } = packed.manifest
        for (const file of ["package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"]) {
          assert.include(files, file, name)
        }
        const others = files.filter(
          (file) => !/^(package\.json|README\.md|LICENSE|src\/.*\.ts|dist\/.*(\.js|\.d\.ts)(\.map)?)$/.test(file)
        )
        assert.deepStrictEqual(others, [], name)
        assert.deepStrictEqual(
          files.filter((file) => /\.test\.|\/test\//.test(file)),
          [],
          name
        )

        // Whoever goes to a definition or stops in a debugger sees the source.
        for (const map of files.filter((file) => file.endsWith(".map"))) {
          const { sources } = yield* Schema.decodeUnknownEffect(SourceMap)(read(map))
          for (const source of sources) assert.include(files, new URL(source, `file:///${map}`).pathname.slice(1), map)
        }
      }
    })
  )

  it.effect("says in its package.json only what is true outside this repository", () =>
    Effect.gen(function* () {
      for (const packed of yield* Release) {
        const { files, read } = yield* unpack(packed)
        const text = read("package.json")
        assert.notMatch(text, /workspace:|catalog:|link:|file:/)
        const manifest = yield* Manifest.parse(text)
        assert.strictEqual(manifest.type, "module")
        assert.strictEqual(manifest.license, "MIT")
        assert.property(manifest.peerDependencies, "effect")
        assert.notProperty(manifest.dependencies ?? {}, "effect")
        for (const [entry, target] of Object.entries(manifest.exports ?? {})) {
          if (entry === "./package.json" || target === null) continue
          const { default: code, types } = yield* Schema.decodeUnknownEffect(Target)(target)
          assert.match(code, /^\.\/dist\/.*\.js$/)
          assert.strictEqual(types, code.replace(/\.js$/, ".d.ts"))
          for (const file of [code, types]) assert.include(files, file.slice("./".length))
        }
      }
    })
  )

  it.effect("depends on all that it imports, and on nothing else", () =>
    Effect.gen(function* () {
      for (const packed of yield* Release) {
        const { files, read } = yield* unpack(packed)
        const imported = new Set<string>()
        for (const file of files.filter((file) => /^dist\/.*(\.js|\.d\.ts)$/.test(file))) {
          const code = read(file).replaceAll(/\/\*[\s\S]*?\*\//g, "")
          for (const [, name = ""] of code.matchAll(
            /(?:\bfrom |\bimport\(|^import |createRequire\(import\.meta\.url\)\()"((?:@[^/"]+\/)?[^./"][^/"]*)/gm
          )) {
            if (!name.startsWith("node:")) imported.add(name)
          }
        }
        const { dependencies, name, peerDependencies } = yield* Manifest.parse(read("package.json"))
        const declared = Object.keys({ ...dependencies, ...peerDependencies })
        assert.deepStrictEqual([...imported].toSorted(), declared.toSorted(), name)
      }
    })
  )

  it.effect("leaves publint nothing to say", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      for (const packed of yield* Release) {
        const tarball = Uint8Array.from(yield* fs.readFile(packed.tarball)).buffer
        const { messages, pkg } = yield* Effect.promise(() => publint({ pack: { tarball }, strict: true }))
        assert.deepStrictEqual(
          messages.map((message) => formatMessage(message, pkg)),
          [],
          packed.manifest.name
        )
      }
    })
  )

  it.effect("has the types that its modules have, for every resolution of ES modules", () =>
    Effect.gen(function* () {
      for (const packed of yield* Release) {
        const { tarball } = yield* unpack(packed)
        const result = yield* Effect.promise(() => attw.checkPackage(tarball))
        if (result.types === false) return assert.fail(`${packed.manifest.name} has no types`)
        assert.isNotEmpty(Object.keys(result.entrypoints))
        // An ES module cannot be required of old resolutions and of CommonJS; all else must be right.
        const problems = result.problems.filter(
          (it) => !("resolutionKind" in it && ["node10", "node16-cjs"].includes(it.resolutionKind))
        )
        assert.deepStrictEqual(problems, [], packed.manifest.name)
      }
    })
  )

  it.effect(
    "works in an empty project: it installs, compiles and elects",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const packages = yield* Release
        const project = yield* fs.makeTempDirectoryScoped({ prefix: "empty-project-" })
        const tarballs = Object.fromEntries(packages.map((it) => [it.manifest.name, `file:${it.tarball}`]))
        const others = yield* Effect.forEach(["effect", "@effect/platform-node", "@types/node"], versionHere)
        const entryPoints = packages.flatMap((it) => it.manifest.entryPoints)
        const write = (file: string, content: string) => fs.writeFileString(`${project}/${file}`, content)
        const dependencies = { ...Object.fromEntries(others), ...tarballs }
        yield* write("package.json", JSON.stringify({ name: "user", private: true, type: "module", dependencies }))
        // The packages depend on one another at versions that no registry has yet.
        yield* write("pnpm-workspace.yaml", JSON.stringify({ overrides: tarballs }))
        yield* write("tsconfig.json", JSON.stringify(tsconfig))
        yield* write("reports.ts", reports)
        yield* write("main.ts", main(entryPoints))

        yield* Command.run(project, [...Command.pnpm, "install", "--prefer-offline", "--no-frozen-lockfile"])
        yield* Command.run(project, [Command.tsc, "--pretty", "false"])
        const output = yield* Command.run(project, [Command.node, "dist/main.js"])

        assert.match(output, /^token 1n$/m)
        assert.match(output, /^led on a Lease: true$/m)
      }),
    120_000
  )
})
