/**
 * The packages as they would be published now: built and packed from a copy, so that the repository stays as it is and
 * two runs at once do not meet.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Command from "./Command.ts"
import { type Package, publishable, root } from "./Repository.ts"

export interface Packed extends Package {
  /** The path of the tarball. */
  readonly tarball: string
}

export class Release extends Context.Service<Release, ReadonlyArray<Packed>>()("test/Release") {
  static readonly layer = Layer.effect(
    Release,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const copy = yield* fs.makeTempDirectoryScoped({ prefix: "release-" })
      const packages = yield* publishable

      for (const file of ["package.json", "pnpm-workspace.yaml", "tsconfig.base.json", "LICENSE"]) {
        yield* fs.copyFile(path.join(root, file), path.join(copy, file))
      }
      yield* fs.symlink(path.join(root, "node_modules"), path.join(copy, "node_modules"))
      for (const { folder } of packages) {
        yield* fs.makeDirectory(path.join(copy, folder), { recursive: true })
        for (const name of yield* fs.readDirectory(path.join(root, folder))) {
          if (name === "dist") continue
          const [from, to] = [path.join(root, folder, name), path.join(copy, folder, name)]
          yield* name === "node_modules" ? fs.symlink(from, to) : fs.copy(from, to)
        }
      }

      // What is installed is the original's, and must not be installed again.
      const pnpm = [...Command.pnpm, "--config.verify-deps-before-run=false"]
      const tarballs = path.join(copy, "tarballs")
      return yield* Effect.forEach(packages, ({ folder, manifest }) =>
        Effect.gen(function* () {
          const file = `${manifest.name.slice(1).replace("/", "-")}-${manifest.version}.tgz`
          yield* Command.run(path.join(copy, folder), [...pnpm, "run", "build"])
          yield* Command.run(path.join(copy, folder), [...pnpm, "pack", "--pack-destination", tarballs])
          return { folder, manifest, tarball: path.join(tarballs, file) }
        })
      )
    })
  )
}
