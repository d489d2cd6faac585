/**
 * The house's rules that the linter keeps: each is broken once, and must be reported. A rule that a change of
 * .oxlintrc.json switches off by accident would be missed by nobody but this.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import * as Command from "../src/Command.ts"
import { root } from "../src/Repository.ts"

const Report = Schema.Struct({
  diagnostics: Schema.Array(Schema.Struct({ code: Schema.String, filename: Schema.String }))
})

const imports = (...modules: ReadonlyArray<string>) =>
  `${modules.map((module) => `export * from "${module}"`).join("\n")}\n`

/** Files, and the rules that the linter must find broken in each of them; none where all is allowed. */
const cases: Record<string, { readonly code: string; readonly broken: ReadonlyArray<string> }> = {
  "packages/core/src/Allowed.ts": { code: imports("effect/Effect", "./Term.ts", "./run/Runtime.ts"), broken: [] },
  "packages/core/src/Node.ts": { code: imports("node:fs"), broken: ["no-restricted-imports"] },
  "packages/core/src/Barrel.ts": { code: imports("effect"), broken: ["no-restricted-imports"] },
  "packages/core/src/Deep.ts": { code: imports("effect/http/HttpClient"), broken: ["no-restricted-imports"] },
  "packages/core/src/Platform.ts": {
    code: imports("@effect/platform-node/NodeServices"),
    broken: ["no-restricted-imports"]
  },
  "packages/core/src/Upwards.ts": { code: imports("@effect-leader/kubernetes"), broken: ["no-restricted-imports"] },
  "packages/core/src/Wall.ts": { code: "export const now = Date.now()\n", broken: ["no-restricted-globals"] },
  "packages/core/src/Calendar.ts": { code: "export const now = new Date()\n", broken: ["no-restricted-globals"] },
  "packages/core/src/Dice.ts": { code: "export const x = Math.random()\n", broken: ["no-restricted-properties"] },
  "packages/core/src/Async.ts": { code: "export const f = async () => 1\n", broken: ["no-async-await"] },
  "packages/core/src/Console.ts": { code: `console.log("a")\n`, broken: ["no-console"] },
  "packages/core/src/Any.ts": { code: "export const f = (x: any) => x\n", broken: ["no-explicit-any"] },
  "packages/core/src/Sure.ts": {
    code: "export const f = (x: string | undefined) => x!\n",
    broken: ["no-non-null-assertion"]
  },
  "packages/core/src/Ignore.ts": { code: "// @ts-ignore\nexport const x = 1\n", broken: ["ban-ts-comment"] },
  "packages/core/src/Unused.ts": { code: "const x = 1\nexport const y = 2\n", broken: ["no-unused-vars"] },
  "packages/core/src/Here.ts": {
    code: `import { b } from "./There.ts"\nexport const a = () => b\n`,
    broken: ["no-cycle"]
  },
  "packages/core/src/There.ts": {
    code: `import { a } from "./Here.ts"\nexport const b = () => a\n`,
    broken: ["no-cycle"]
  },
  "packages/core/src/decide/Allowed.ts": {
    code: imports(
      "effect/Option",
      "effect/Result",
      "effect/Duration",
      "effect/DateTime",
      "./State.ts",
      "../Settings.ts"
    ),
    broken: []
  },
  "packages/core/src/decide/Effect.ts": { code: imports("effect/Effect"), broken: ["no-restricted-imports"] },
  "packages/core/src/decide/Clock.ts": { code: imports("effect/Clock"), broken: ["no-restricted-imports"] },
  "packages/core/src/decide/Runtime.ts": { code: imports("../run/Runtime.ts"), broken: ["no-restricted-imports"] },
  "packages/kubernetes/src/Allowed.ts": {
    code: imports(
      "effect",
      "effect/http/HttpClient",
      "@effect-leader/core",
      "@kubernetes/client-node",
      "node:fs/promises"
    ),
    broken: []
  },
  "packages/kubernetes/src/Testkit.ts": { code: imports("@effect-leader/testkit"), broken: ["no-restricted-imports"] },
  "packages/kubernetes/src/Other.ts": { code: imports("undici"), broken: ["no-restricted-imports"] },
  "packages/testkit/src/Allowed.ts": { code: imports("@effect-leader/core", "@peculiar/asn1-x509"), broken: [] },
  "packages/testkit/src/Kubernetes.ts": {
    code: imports("@effect-leader/kubernetes"),
    broken: ["no-restricted-imports"]
  },
  "examples/a/src/Allowed.ts": { code: imports("@effect-leader/core", "effect", "node:fs", "./job.ts"), broken: [] },
  "examples/a/src/Deep.ts": { code: imports("@effect-leader/core/src/index.ts"), broken: ["no-restricted-imports"] },
  "examples/a/test/Source.ts": {
    code: imports("../../../packages/core/src/Term.ts"),
    broken: ["no-restricted-imports"]
  },
  "examples/a/src/Private.ts": { code: imports("@effect-leader/test-cluster"), broken: ["no-restricted-imports"] }
}

describe("lint", () => {
  it.effect("every rule of the house is reported when it is broken", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.copyFile(`${root}.oxlintrc.json`, `${folder}/.oxlintrc.json`)
      for (const [file, { code }] of Object.entries(cases)) {
        yield* fs.makeDirectory(path.dirname(`${folder}/${file}`), { recursive: true })
        yield* fs.writeFileString(`${folder}/${file}`, code)
      }

      const { output } = yield* Command.attempt(folder, [Command.oxlint, "--format", "json"])

      const { diagnostics } = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Report))(output)
      const found = Object.keys(cases).map((file) => {
        const codes = diagnostics
          .filter((it) => it.filename === file)
          .map((it) => it.code.replace(/^.*\((.*)\)$/, "$1"))
        return [file, [...new Set(codes)]]
      })
      assert.deepStrictEqual(
        found,
        Object.entries(cases).map(([file, { broken }]) => [file, broken])
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
