import { assert, describe, it } from "@effect/vitest"
import * as Exclusion from "../src/Exclusion.ts"
import type { Freeze, Mark } from "../src/Exclusion.ts"

const work = (replica: string, token: number, times: { started?: number; ticks: Array<number>; stopped?: number }) => {
  const mark = (did: Mark["did"]) => (at: number) => ({ at, replica, token: BigInt(token), did })
  return [
    ...(times.started === undefined ? [] : [mark("started")(times.started)]),
    ...times.ticks.map(mark("ticked")),
    ...(times.stopped === undefined ? [] : [mark("stopped")(times.stopped)])
  ]
}

const check = (marks: ReadonlyArray<Mark>, freezes: ReadonlyArray<Freeze> = []) => Exclusion.check({ marks, freezes })

const tags = (verdict: Exclusion.Verdict) => verdict.violations.map(({ _tag }) => _tag)

describe("a history without work outside leadership", () => {
  it("is one term after another, whether the earlier one stopped or was killed", () => {
    const verdict = check([
      ...work("a", 1, { started: 0, ticks: [0, 10, 20], stopped: 21 }),
      ...work("b", 4, { started: 22, ticks: [22, 32] }),
      ...work("c", 9, { started: 90, ticks: [90] })
    ])
    assert.deepStrictEqual(verdict, { terms: 3, ticks: 6, outside: [], violations: [] })
  })

  it("is the same one in whatever order its lines came in", () => {
    const marks = [
      ...work("b", 4, { started: 22, ticks: [22, 32] }),
      ...work("a", 1, { started: 0, ticks: [0, 10, 20], stopped: 21 })
    ]
    assert.deepStrictEqual(check(marks).violations, [])
  })

  it("may end a term late if its process was stopped meanwhile, as long as it does not tick", () => {
    const marks = [
      ...work("a", 1, { started: 0, ticks: [0, 10], stopped: 95 }),
      ...work("b", 4, { started: 60, ticks: [60, 70] })
    ]
    assert.deepStrictEqual(tags(check(marks, [{ replica: "a", from: 12, until: 94 }])), [])
    assert.deepStrictEqual(tags(check(marks, [{ replica: "a", from: 12 }])), [])
  })

  it("is an empty one", () => {
    assert.deepStrictEqual(check([]), { terms: 0, ticks: 0, outside: [], violations: [] })
  })
})

describe("a violation", () => {
  it("is a tick under an older token after work under a newer one had begun", () => {
    const verdict = check([
      ...work("a", 1, { started: 0, ticks: [0, 10, 61, 62] }),
      ...work("b", 4, { started: 60, ticks: [65] })
    ])
    assert.deepStrictEqual(tags(verdict), ["Late", "Late"])
    assert.deepStrictEqual(
      verdict.outside.map(({ at }) => at),
      [61, 62]
    )
  })

  it("is such a tick even when two terms have begun since", () => {
    const verdict = check([
      ...work("a", 1, { started: 0, ticks: [0, 500] }),
      ...work("b", 4, { started: 60, ticks: [65], stopped: 70 }),
      ...work("c", 7, { started: 80, ticks: [80] })
    ])
    assert.deepStrictEqual(tags(verdict), ["Late"])
  })

  it("is a tick of a process that was stopped and goes on under its old token", () => {
    const verdict = check(
      [...work("a", 1, { started: 0, ticks: [0, 10, 95], stopped: 96 }), ...work("b", 4, { started: 60, ticks: [60] })],
      [{ replica: "a", from: 12, until: 94 }]
    )
    assert.deepStrictEqual(
      verdict.outside.map(({ at }) => at),
      [95]
    )
  })

  it("is work that has not stopped when the next begins, without any tick in between", () => {
    const marks = [
      ...work("a", 1, { started: 0, ticks: [0, 10], stopped: 25 }),
      ...work("b", 4, { started: 22, ticks: [22] })
    ]
    assert.deepStrictEqual(tags(check(marks)), ["Late"])
    // Another's freeze, or one that was over by then, is no excuse.
    const freezes = [
      { replica: "b", from: 12, until: 94 },
      { replica: "a", from: 3, until: 5 }
    ]
    assert.deepStrictEqual(tags(check(marks, freezes)), ["Late"])
  })

  it("is a token that does not grow: work under a smaller one begins later", () => {
    const verdict = check([
      ...work("a", 9, { started: 0, ticks: [0], stopped: 5 }),
      ...work("b", 4, { started: 22, ticks: [] })
    ])
    assert.deepStrictEqual(tags(verdict), ["Late"])
    assert.deepStrictEqual(verdict.outside, [])
  })

  it("is one token of two replicas", () => {
    const verdict = check([
      ...work("a", 4, { started: 0, ticks: [0], stopped: 5 }),
      ...work("b", 4, { started: 22, ticks: [22, 32] })
    ])
    assert.deepStrictEqual(tags(verdict), ["SharedToken", "SharedToken", "SharedToken"])
    assert.deepStrictEqual(
      verdict.outside.map(({ replica }) => replica),
      ["b", "b"]
    )
  })

  it("is a tick outside of its own term", () => {
    assert.deepStrictEqual(tags(check(work("a", 1, { ticks: [3] }))), ["Stray"])
    assert.deepStrictEqual(tags(check(work("a", 1, { started: 5, ticks: [3] }))), ["Stray"])
    assert.deepStrictEqual(tags(check(work("a", 1, { started: 1, ticks: [8], stopped: 7 }))), ["Stray"])
  })

  it("is told in a sentence", () => {
    const { violations } = check([
      ...work("a", 1, { started: 0, ticks: [0, 61] }),
      ...work("b", 4, { started: 60, ticks: [65] })
    ])
    assert.deepStrictEqual(violations.map(Exclusion.describe), ["a (token 1) ticked 1 ms after b (token 4) had begun"])
  })
})
