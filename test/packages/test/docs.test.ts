/**
 * What the documentation shows is code that compiles, and the README's first program is one of this repository.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as path from "node:path"
import * as CodeBlocks from "../src/CodeBlocks.ts"
import * as Command from "../src/Command.ts"
import { publishable, root, sources } from "../src/Repository.ts"

/** The files that may hold code blocks, relative to the top folder. */
const documents = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const packages = (yield* publishable).map((it) => it.folder)
  const examples = (yield* fs.readDirectory(`${root}examples`)).map((name) => `examples/${name}`)
  const markdown = ["README.md", ...[...packages, ...examples].map((folder) => `${folder}/README.md`)]
  for (const file of yield* fs.readDirectory(`${root}docs`)) if (file.endsWith(".md")) markdown.push(`docs/${file}`)
  const code = yield* Effect.forEach(packages, (folder) => sources(`${folder}/src`))
  return [...(yield* Effect.filter(markdown, (file) => fs.exists(root + file))), ...code.flat()]
})

/** What the compiler says about the blocks, with the places of the documents instead of those of the copies. */
const compile = Effect.fnUntraced(function* (blocks: ReadonlyArray<CodeBlocks.CodeBlock>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  // The packages by their names, as a reader would have installed them.
  yield* fs.symlink(`${root}test/packages/node_modules`, `${folder}/node_modules`)
  yield* fs.writeFileString(`${folder}/package.json`, `{ "type": "module" }`)
  yield* fs.writeFileString(
    `${folder}/tsconfig.json`,
    JSON.stringify({
      extends: `${root}tsconfig.base.json`,
      // A reader is shown a declaration without its use.
      compilerOptions: {
        noEmit: true,
        types: ["node"],
        noUnusedLocals: false,
        declaration: false,
        declarationMap: false
      }
    })
  )
  const copies = new Map<string, CodeBlocks.CodeBlock>()
  for (const [index, block] of blocks.entries()) {
    // A folder for each document, so that its blocks can import one another.
    const copy = `${block.document.replaceAll("/", "_")}/${block.name ?? `block-${index}.ts`}`
    copies.set(copy, block)
    yield* fs.makeDirectory(path.dirname(`${folder}/${copy}`), { recursive: true })
    yield* fs.writeFileString(`${folder}/${copy}`, block.code)
  }
  const { exitCode, output } = yield* Command.attempt(folder, [Command.tsc, "--pretty", "false"])
  const complaints = output.replaceAll(/^(\S+\.ts)\((\d+),/gm, (said, copy, line) => {
    const block = copies.get(copy)
    return block === undefined ? said : `${block.document}(${block.line + Number(line) - 1},`
  })
  return { exitCode, complaints }
})

describe("documentation", () => {
  it.live(
    "every code block compiles",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const blocks = yield* Effect.forEach(yield* documents, (document) =>
          Effect.map(fs.readFileString(root + document), (text) => CodeBlocks.extract(document, text))
        )
        assert.isAbove(blocks.flat().length, 0)
        const { complaints, exitCode } = yield* compile(blocks.flat())
        assert.strictEqual(complaints, "")
        assert.strictEqual(exitCode, 0)
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live(
    "a block that does not compile is reported at its place in the document",
    () =>
      Effect.gen(function* () {
        const text = [
          "/**",
          " * ```ts",
          " * export const ok = 1",
          ' * export const wrong: number = ""',
          " * ```",
          " */"
        ]
        const { complaints, exitCode } = yield* compile(CodeBlocks.extract("src/a.ts", text.join("\n")))
        assert.match(complaints, /^src\/a\.ts\(4,14\): error TS2322/)
        assert.notStrictEqual(exitCode, 0)
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

  it("every block that is meant to compile is found, in Markdown and in JSDoc", () => {
    const markdown = [
      "```ts",
      "1",
      "```",
      "```ts no-check",
      "2",
      "```",
      "```sh",
      "3",
      "```",
      "```ts a.ts",
      "4",
      "",
      "```"
    ]
    assert.deepStrictEqual(CodeBlocks.extract("a.md", markdown.join("\n")), [
      { document: "a.md", line: 2, name: undefined, code: "1\n" },
      { document: "a.md", line: 11, name: "a.ts", code: "4\n\n" }
    ])
    const comment = ["/**", " * Text", " * ```ts", " * if (a) {", " *   b()", " * }", " * ```", " */", "export {}"]
    assert.deepStrictEqual(CodeBlocks.extract("a.ts", comment.join("\n")), [
      { document: "a.ts", line: 4, name: undefined, code: "if (a) {\n  b()\n}\n" }
    ])
  })

  it.live("the README's first program is examples/hello-leader, whole", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const shown = CodeBlocks.extract("README.md", yield* fs.readFileString(`${root}README.md`))
      const program = yield* Effect.forEach(yield* sources("examples/hello-leader/src"), (file) =>
        Effect.map(fs.readFileString(root + file), (code) => ({ name: file.split("/").at(-1), code }))
      )
      assert.deepStrictEqual(
        shown.filter((block) => block.name !== undefined).map(({ name, code }) => ({ name, code })),
        program
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
