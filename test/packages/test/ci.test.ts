/**
 * `.ci/run` tells the truth: it counts what the reports say, runs everything, and whatever could not run has failed.
 * The commands that it calls are stood in for by an `npx` that does as the test says.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Command from "../src/Command.ts"
import { root } from "../src/Repository.ts"

/** Called as `npx -y pnpm@12 NAME ...`. */
const fakeNpx = `#!/bin/sh
name=$3
echo "$name" >> "$(dirname "$0")/called"
for option; do case $option in --outputFile.json=*) report=\${option#*=} ;; esac; done
step="$(dirname "$0")/$name"
[ -n "\${report:-}" ] && [ -f "$step.json" ] && cp "$step.json" "$report"
[ ! -f "$step.sh" ] || . "$step.sh"
`

const test = (status: string, fullName = "a test") => ({ status, fullName })
const file = (status: string, ...assertionResults: ReadonlyArray<{ readonly status: string }>) => ({
  name: "a.test.ts",
  status,
  message: "",
  assertionResults
})
const report = (...testResults: ReadonlyArray<object>) => JSON.stringify({ testResults })
const twoPassed = report(file("passed", test("passed"), test("passed")))
const good = { "test.json": twoPassed, "test:cluster.json": report(file("passed", test("passed"))) }

/** Runs `.ci/run` where the steps find these files: `NAME.json` is a tier's report, `NAME.sh` what the step does. */
const runCi = Effect.fnUntraced(function* (steps: Record<string, string>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  yield* fs.copy(`${root}.ci`, `${folder}/.ci`)
  yield* fs.makeDirectory(`${folder}/bin`)
  yield* fs.writeFileString(`${folder}/bin/npx`, fakeNpx, { mode: 0o755 })
  for (const [name, content] of Object.entries(steps)) yield* fs.writeFileString(`${folder}/bin/${name}`, content)

  const path = `PATH=${folder}/bin:${process.env["PATH"]}`
  const { exitCode, output } = yield* Command.attempt(folder, ["env", path, ".ci/run"])

  const called = (yield* fs.readFileString(`${folder}/bin/called`)).trim().split("\n")
  return { exitCode, output, called, lastLine: output.trimEnd().split("\n").at(-1) }
})

const all = ["test", "typecheck", "lint", "format:check", "build", "demo", "test:cluster"]

describe(".ci/run", () => {
  it.live("adds up the tests of the reports and one for each other check, the README's test command first", () =>
    Effect.gen(function* () {
      const { called, exitCode, lastLine } = yield* runCi(good)
      assert.strictEqual(lastLine, "9 passed, 0 failed")
      assert.strictEqual(exitCode, 0)
      assert.deepStrictEqual(called, all)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("goes on after a failure, counts it once, and fails at the end", () =>
    Effect.gen(function* () {
      const failing = report(file("failed", test("passed"), test("failed")))
      const { called, exitCode, lastLine } = yield* runCi({
        ...good,
        "test.json": failing,
        "test.sh": "exit 1",
        "lint.sh": "exit 2"
      })
      assert.strictEqual(lastLine, "7 passed, 2 failed")
      assert.strictEqual(exitCode, 1)
      assert.deepStrictEqual(called, all)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  const cannotRun: Record<string, Record<string, string>> = {
    "writes no report": { "test:cluster.json": "" },
    "writes half a report": { "test:cluster.json": twoPassed.slice(0, -5) },
    "has no tests": { "test:cluster.json": report() },
    "has a file that cannot be loaded": { "test:cluster.json": report(file("failed")), "test:cluster.sh": "exit 1" },
    "skips a test": { "test:cluster.json": report(file("passed", test("skipped"))) },
    "fails outside of its tests": { "test:cluster.json": report(file("passed")), "test:cluster.sh": "exit 1" }
  }
  for (const [what, steps] of Object.entries(cannotRun)) {
    it.live(`fails when a tier ${what}`, () =>
      Effect.gen(function* () {
        const { exitCode, lastLine, output } = yield* runCi({ ...good, ...steps })
        assert.strictEqual(lastLine, "8 passed, 1 failed", output)
        assert.strictEqual(exitCode, 1)
      }).pipe(Effect.provide(NodeServices.layer))
    )
  }

  it.live("fails when a tier ends with an error although its tests passed", () =>
    Effect.gen(function* () {
      const { exitCode, lastLine } = yield* runCi({ ...good, "test.sh": "exit 1" })
      assert.strictEqual(lastLine, "9 passed, 1 failed")
      assert.strictEqual(exitCode, 1)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("finds and ends a process that was left behind", () =>
    Effect.gen(function* () {
      const { exitCode, lastLine, output } = yield* runCi({ ...good, "demo.sh": "sleep 3600 >&- 2>&- &" })
      assert.strictEqual(lastLine, "8 passed, 1 failed")
      assert.strictEqual(exitCode, 1)
      const pid = /left behind: (\d+) sleep 3600/.exec(output)?.[1]
      assert.isDefined(pid, output)
      const fs = yield* FileSystem.FileSystem
      // Gone, or what its parent has not looked at yet, which has no command any more.
      assert.strictEqual(yield* Effect.orElseSucceed(fs.readFileString(`/proc/${pid}/cmdline`), () => ""), "")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
