// Counts a tier from the report that vitest wrote (JSON): prints "PASSED FAILED" and, on standard error, all that is
// not simply a test that passed or failed. Whatever keeps a tier from having run wholly counts as a failure: no readable
// report, no test in it, a file that could not be loaded, a test that was skipped, or a failure outside of all tests.
import { readFileSync } from "node:fs"
import process from "node:process"

const [tier, exitCode, path] = process.argv.slice(2)

const problems = []
let passed = 0
let failed = 0

try {
  const files = JSON.parse(readFileSync(path, "utf8")).testResults
  for (const file of files) {
    const outcomes = file.assertionResults.map((test) => test.status)
    passed += outcomes.filter((outcome) => outcome === "passed").length
    failed += outcomes.filter((outcome) => outcome === "failed").length
    for (const test of file.assertionResults) {
      if (test.status !== "passed" && test.status !== "failed") problems.push(`not run: ${file.name}: ${test.fullName}`)
    }
    if (outcomes.length === 0) problems.push(`no test in ${file.name}: ${file.message}`)
    else if (file.status === "failed" && !outcomes.includes("failed"))
      problems.push(`failed: ${file.name}: ${file.message}`)
  }
  if (files.length === 0) problems.push("no test was run")
  else if (exitCode !== "0" && failed + problems.length === 0)
    problems.push(`ended with ${exitCode} although no test failed`)
} catch (cause) {
  problems.push(`no readable report: ${cause.message}`)
}

for (const problem of problems) process.stderr.write(`${tier}: ${problem}\n`)
process.stdout.write(`${passed} ${failed + problems.length}\n`)
