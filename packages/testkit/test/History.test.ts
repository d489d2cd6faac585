/**
 * Histories that break one invariant each, and how they are drawn.
 */
import { assert, describe, it } from "@effect/vitest"
import { History } from "../src/index.ts"

type Line = readonly [at: number, process: string, event: History.Entry["event"]]

const history = (...lines: ReadonlyArray<Line>): ReadonlyArray<History.Entry> =>
  lines.map(([at, process, event]) => ({ at, candidate: process.slice(0, 1), process, event }))

const started: History.Event = { _tag: "Started", renewDeadline: 10_000, stopBy: 14_700, releases: true }
const begins = (token: bigint): History.Event => ({ _tag: "WorkStarted", token, work: Number(token) })
const ends = (token: bigint): History.Event => ({ _tag: "WorkEnded", token, work: Number(token) })
const guards = (token: bigint): History.Event => ({ _tag: "GuardStarted", token })
const told = (...lines: ReadonlyArray<Line>) =>
  History.violations(history(...lines)).map(({ at, invariant, what }) => `${invariant} at ${at}: ${what}`)

describe("a history", () => {
  it("in which one works after the other keeps all invariants", () => {
    assert.deepStrictEqual(
      told(
        [0, "a", started],
        [1, "b", started],
        [2, "a", begins(1n)],
        [3, "a", guards(1n)],
        [9, "a", ends(1n)],
        [9, "a", { _tag: "Released", over: "a" }],
        [9, "b", begins(3n)],
        [12, "b", ends(3n)]
      ),
      []
    )
  })

  it("in which two work at once", () => {
    assert.deepStrictEqual(told([2, "a", begins(1n)], [8, "b", begins(3n)], [9, "a", ends(1n)], [12, "b", ends(3n)]), [
      "I1 at 8: the work of b (token 3), begun at 0.008 s, ran while that of a (token 1) ran, which ended 1 ms later"
    ])
  })

  it("in which one stands still while the other works", () => {
    const still = (...after: ReadonlyArray<Line>) =>
      told(
        [0, "a", started],
        [0, "a", begins(1n)],
        [1000, "a", { _tag: "Frozen" }],
        [15_000, "b", begins(3n)],
        [20_000, "a", { _tag: "Thawed" }],
        ...after,
        [40_000, "b", ends(3n)]
      )
    // Told to stop as soon as it went on: nobody can do more.
    assert.deepStrictEqual(still([20_500, "a", ends(1n)]), [])
    assert.deepStrictEqual(still([20_000, "a", guards(1n)], [20_500, "a", ends(1n)]), [
      "I1 at 20000: a began a guarded effect under token 1 after b had begun under 3"
    ])
  })

  it("in which one stood still, and then had time enough to stop", () => {
    assert.deepStrictEqual(
      told(
        [0, "a", started],
        [0, "a", begins(1n)],
        [1000, "a", { _tag: "Suspended" }],
        [9000, "a", { _tag: "Thawed" }],
        [15_000, "b", begins(3n)],
        [16_000, "a", ends(1n)],
        [16_000, "b", ends(3n)]
      ),
      [
        "I1 at 15000: the work of b (token 3), begun at 15.000 s, ran while that of a (token 1) ran, which ended 1000 ms later"
      ]
    )
  })

  it("in which work runs on long after its process went on: it could not be interrupted", () => {
    assert.deepStrictEqual(
      told(
        [0, "a", started],
        [0, "a", begins(1n)],
        [1000, "a", { _tag: "Frozen" }],
        [15_000, "b", begins(3n)],
        [20_000, "a", { _tag: "Thawed" }],
        [60_000, "a", ends(1n)],
        [70_000, "b", ends(3n)]
      ),
      [
        "I1 at 24700: the work of b (token 3), begun at 15.000 s, ran while that of a (token 1) ran, which ended 35300 ms later"
      ]
    )
  })

  it("in which one crashes works until then", () => {
    assert.deepStrictEqual(told([2, "a", begins(1n)], [8, "a", { _tag: "Crashed" }], [9, "b", begins(3n)]), [])
  })

  it("in which a token does not grow", () => {
    assert.deepStrictEqual(told([2, "a", begins(5n)], [8, "a", ends(5n)], [9, "b", begins(3n)], [10, "b", ends(3n)]), [
      "I2 at 9: b began a term with token 3 after a had begun one with 5"
    ])
  })

  it("in which nobody leads after the last fault, or somebody loses the lead again", () => {
    const calm: History.Entry["event"] = { _tag: "FaultsEnded", leaderWithin: 100 }
    assert.deepStrictEqual(told([0, "a", started], [50, "a", calm], [500, "a", { _tag: "Ended" }]), [
      "I3 at 150: after the last fault nobody led, where 100 ms are allowed"
    ])
    assert.deepStrictEqual(
      told(
        [50, "a", calm],
        [60, "a", { _tag: "TermBegan", token: 1n }],
        [200, "a", { _tag: "TermEnding", token: 1n, end: "Expired" }]
      ),
      ["I3 at 200: a lost its leadership (Expired) without any fault"]
    )
  })

  it("in which a lock is released too early, or by somebody else", () => {
    assert.deepStrictEqual(
      told(
        [2, "a", begins(1n)],
        [8, "a", { _tag: "Released", over: "a" }],
        [9, "a", ends(1n)],
        [10, "b", { _tag: "Released", over: "a" }]
      ),
      ["I4 at 8: a released the lock while the work of a (token 1) ran", "I4 at 10: b released a lock that a held"]
    )
  })

  it("in which something is left behind", () => {
    assert.deepStrictEqual(
      told(
        [1, "a", started],
        [2, "a", { _tag: "Took", over: undefined, token: 1n }],
        [3, "b", { _tag: "Closing" }],
        [5, "a", { _tag: "AllClosing" }],
        [5, "a", { _tag: "Closing" }],
        [6, "a", { _tag: "Closed", leftovers: 2 }],
        [7, "a", { _tag: "Granted", sentAt: 6 }],
        [90, "a", { _tag: "Ended" }]
      ),
      [
        "I5 at 6: a has closed and left 2 timers, requests or watches behind",
        "I5 at 7: a has closed, and Granted followed 1 ms later",
        "I5 at 90: b was told to end at 0.003 s and has not ended 87 ms later",
        "I5 at 90: a has closed and not given back the lock"
      ]
    )
  })
})

describe("drawn", () => {
  const entries = history(
    [0, "a", started],
    [0, "b", started],
    [1000, "a", begins(1n)],
    [4000, "a", { _tag: "Frozen" }],
    [5000, "a", { _tag: "Thawed" }],
    [6000, "a", { _tag: "TermEnding", token: 1n, end: "Expired" }],
    [7000, "a", ends(1n)],
    [8000, "b", begins(3n)],
    [9000, "b", { _tag: "Crashed" }],
    [10_000, "a", { _tag: "Fault", what: "watch <ends>" }]
  )

  it("as text, a row for each candidate", () => {
    assert.deepStrictEqual(History.timeline(entries, { width: 20 }).split("\n"), [
      "   0.000 s     10.000 s",
      "a  ··██████==██▒▒······",
      "b  ················██x",
      "█ works   ▒ work stops   = stands still amid work   - stands still   · stands by   x crashes   ! violation",
      "     0.000 s  a starts",
      "     0.000 s  b starts",
      "     4.000 s  a is frozen",
      "     5.000 s  a goes on",
      "     6.000 s  a leads no more: Expired",
      "     9.000 s  b crashes",
      "    10.000 s  a watch <ends>"
    ])
  })

  it("as SVG, what happens to all has a row of its own, above the key", () => {
    const deleted = {
      at: 11_000,
      candidate: undefined,
      process: undefined,
      event: { _tag: "Fault", what: "the lock is deleted" }
    } as const
    const svg = History.svg([...entries, deleted])
    const y = (what: RegExp) => Number(what.exec(svg)?.[1])
    const mark = y(/cy="([\d.]+)" r="2.5" fill="#556"><title>[^<]*the lock is deleted/)
    assert.isAbove(mark, y(/<text x="8" y="(\d+)">around/))
    assert.isBelow(mark + 2.5, y(/y="(\d+)" width="12" height="12"/))
  })

  it("as SVG that stands alone", () => {
    const svg = History.svg(entries)
    assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/)
    assert.match(svg, /<title>a works \(token 1\), 1\.000 s to 4\.000 s<\/title>/)
    assert.include(svg, "watch &lt;ends&gt;")
    assert.notMatch(svg, /<script|href|NaN|undefined/)
  })
})
