import type { Pause, Term } from "@effect-leader/test-end-to-end/src/History.ts"
import { assert, it } from "@effect/vitest"
import { overlapOf } from "../src/Overlap.ts"

const term = (pid: number, startedAt: bigint, workedUntil: bigint): Term => ({
  identity: `replica-${pid}`,
  pid,
  token: startedAt,
  startedAt,
  ticks: [],
  stoppingAt: undefined,
  endedAt: undefined,
  workedUntil
})

const pause = (pid: number, from: bigint, until: bigint | undefined): Pause => ({ pid, from, until })

it("two terms overlap for as long as both work, whichever comes first", () => {
  assert.strictEqual(overlapOf(term(1, 0n, 10n), term(2, 7n, 20n), []), 3n)
  assert.strictEqual(overlapOf(term(2, 7n, 20n), term(1, 0n, 10n), []), 3n)
  assert.strictEqual(overlapOf(term(1, 0n, 30n), term(2, 7n, 20n), []), 13n)
})

it("terms of which one begins when the other ends do not overlap", () => {
  assert.strictEqual(overlapOf(term(1, 0n, 7n), term(2, 7n, 20n), []), 0n)
  assert.strictEqual(overlapOf(term(1, 0n, 5n), term(2, 7n, 20n), []), 0n)
})

it("a process that stands still does not work", () => {
  const [frozen, next] = [term(1, 0n, 14n), term(2, 7n, 20n)]
  assert.strictEqual(overlapOf(frozen, next, [pause(1, 5n, 10n)]), 4n)
  assert.strictEqual(overlapOf(frozen, next, [pause(1, 5n, 8n), pause(1, 9n, 12n)]), 3n)
  assert.strictEqual(overlapOf(frozen, next, [pause(1, 5n, undefined)]), 0n)
  assert.strictEqual(overlapOf(frozen, next, [pause(3, 5n, 10n)]), 7n)
})
