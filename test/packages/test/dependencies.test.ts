/**
 * The core stands on Effect's stable modules alone. Which packages may be imported where is the linter's (lint.test.ts).
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { root, sources } from "../src/Repository.ts"

interface Use {
  readonly file: string
  readonly module: string
  readonly member: string
}

/** Every member of an Effect module that a file names, of `import * as Name` and of `import { member }`. */
const usesIn = (file: string, code: string): ReadonlyArray<Use> => {
  const uses: Array<Use> = []
  for (const [, clause = "", module = ""] of code.matchAll(/^(?:import|export)\s([^"]*?)from "effect\/([^"]+)"/gm)) {
    const namespace = /\* as (\w+)/.exec(clause)?.[1]
    const members =
      namespace === undefined
        ? [...clause.replace(/^type\s/, "").matchAll(/(?:type )?(\w+)(?: as \w+)?/g)].map((match) => match[1])
        : [...code.matchAll(new RegExp(`(?<![\\w.])${namespace}\\.(\\w+)`, "g"))].map((match) => match[1])
    for (const member of new Set(members)) if (member !== undefined) uses.push({ file, module, member })
  }
  return uses
}

/** The stability that a module's source declares for itself ("") and for each of its exports. */
const stabilityOf = (source: string): ReadonlyMap<string, string> => {
  const tags = new Map<string, string>()
  const header = /\/\*\*([\s\S]*?)\*\//.exec(source)?.[1]
  tags.set("", tagIn(header))
  const documented =
    /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export (?:declare )?(?:abstract )?(?:const|function|class|interface|type|namespace) (\w+)/g
  for (const [, comment, name = ""] of source.matchAll(documented)) {
    // A type and a value of one name: the less stable one counts.
    if (tags.get(name) === undefined || tags.get(name) === "stable") tags.set(name, tagIn(comment))
  }
  // `export { from_ as from }` and the like.
  for (const [, comment, name = ""] of source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\w+ as (\w+)/g)) {
    tags.set(name, tagIn(comment))
  }
  return tags
}

const tagIn = (comment: string | undefined): string => /@stability (\w+)/.exec(comment ?? "")?.[1] ?? "none"

const unstableUses = Effect.fnUntraced(function* (uses: ReadonlyArray<Use>) {
  const fs = yield* FileSystem.FileSystem
  const modules = new Map<string, ReadonlyMap<string, string>>()
  for (const { module } of uses) {
    if (modules.has(module)) continue
    const source = yield* fs.readFileString(`${root}packages/core/node_modules/effect/src/${module}.ts`)
    modules.set(module, stabilityOf(source))
  }
  return uses.flatMap(({ file, member, module }) => {
    const tags = modules.get(module)
    const found = tags?.get("") === "stable" ? (tags.get(member) ?? "unknown") : "in an unstable module"
    return found === "stable" ? [] : [`${file}: effect/${module} ${member} is ${found}`]
  })
})

describe("the core's dependencies", () => {
  it.effect("all that it uses of Effect is stable", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const files = yield* sources("packages/core/src")
      const uses = yield* Effect.forEach(files, (file) =>
        Effect.map(fs.readFileString(root + file), (code) => usesIn(file, code))
      )
      assert.isAbove(uses.flat().length, 100)
      assert.deepStrictEqual(yield* unstableUses(uses.flat()), [])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("an unstable module, and an unstable member of a stable one, would be found", () =>
    Effect.gen(function* () {
      const code = [
        `import * as FileSystem from "effect/FileSystem"`,
        `import * as Schema from "effect/Schema"`,
        `import type { Effect, fork } from "effect/Effect"`,
        `export const a = [FileSystem.layerNoop, Schema.ByteSize]`
      ]
      assert.deepStrictEqual(yield* unstableUses(usesIn("a.ts", code.join("\n"))), [
        "a.ts: effect/FileSystem layerNoop is in an unstable module",
        "a.ts: effect/Schema ByteSize is unstable",
        "a.ts: effect/Effect fork is unknown"
      ])
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
