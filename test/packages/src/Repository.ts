/**
 * What is published from this repository, and where it stands.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"

/** The top folder of the repository, with a slash at its end. */
export const root = fileURLToPath(new URL("../../..", import.meta.url))

const Exports = Schema.Record(
  Schema.String,
  Schema.Union([Schema.Null, Schema.String, Schema.Record(Schema.String, Schema.Unknown)])
)

/** What the tests read of a package.json, in the repository or in a tarball. */
export class Manifest extends Schema.Class<Manifest>("Manifest")({
  name: Schema.String,
  version: Schema.String,
  license: Schema.optionalKey(Schema.String),
  private: Schema.optionalKey(Schema.Boolean),
  type: Schema.optionalKey(Schema.String),
  exports: Schema.optionalKey(Exports),
  dependencies: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  peerDependencies: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
}) {
  static readonly parse = Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest))

  /** What a program can import of this package: `@effect-leader/core`, ... */
  get entryPoints(): ReadonlyArray<string> {
    return Object.entries(this.exports ?? {})
      .filter(([path, target]) => path !== "./package.json" && target !== null)
      .map(([path]) => `${this.name}${path.slice(1)}`)
  }
}

export interface Package {
  /** Relative to the top folder: `packages/core`. */
  readonly folder: string
  readonly manifest: Manifest
}

/** The packages that are published, by folder. */
export const publishable = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folders = (yield* fs.readDirectory(`${root}packages`)).toSorted()
  const packages = yield* Effect.forEach(folders, (name) =>
    fs.readFileString(`${root}packages/${name}/package.json`).pipe(
      Effect.flatMap(Manifest.parse),
      Effect.map((manifest): Package => ({ folder: `packages/${name}`, manifest }))
    )
  )
  return packages.filter((it) => it.manifest.private !== true)
})

/** The TypeScript files below a folder of the repository, relative to its top folder. */
export const sources = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* fs.readDirectory(`${root}${folder}`, { recursive: true })
  return files
    .filter((file) => file.endsWith(".ts"))
    .toSorted()
    .map((file) => `${folder}/${file}`)
})
