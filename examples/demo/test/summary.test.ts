import { assert, describe, it } from "@effect/vitest"
import type * as Scene from "../src/Scene.ts"
import { paint } from "../src/Text.ts"
import * as Summary from "../src/Summary.ts"
import * as Story from "./story.ts"

const steps = ["kill", "terminate", "freeze"] as const

const text = (happenings: ReadonlyArray<Scene.Happening>, columns = Infinity) =>
  Summary.lines(Story.scene(...happenings), columns).map((line) => paint(line, false))

describe("the summary", () => {
  it("says for each fault how long the work stood still, and that none was outside leadership", () => {
    assert.deepStrictEqual(text(Story.frozen), [
      "                    next leader      after the  after the last  ticks outside",
      "fault               works after  lease ran out  work before it     leadership",
      "kill -9 of hello-0       4.51 s          10 ms          5.76 s         0 of 2",
      "SIGTERM of hello-1        20 ms              -           19 ms         0 of 1",
      "SIGSTOP of hello-2       4.51 s           8 ms          6.99 s         0 of 1",
      "",
      "hello-2 woke up, when hello-3 had led for 1.99 s: it stopped its work 3 ms later, after 0 more ticks with its old token.",
      "Ticks outside leadership: 0 of 5 in 4 terms."
    ])
    assert.deepStrictEqual(text(Story.frozen, 80).slice(0, 6), text(Story.frozen).slice(0, 6), "fits 80 columns")
    assert.deepStrictEqual(Summary.failures(Story.scene(...Story.frozen), steps), [])
  })

  it("is a list where the terminal is narrower than the table", () => {
    const lines = text(Story.killed, 60)
    assert.deepStrictEqual(lines.slice(0, 5), [
      "kill -9 of hello-0",
      "  next leader works after       4.51 s",
      "  after the lease ran out       10 ms",
      "  after the last work before it 5.76 s",
      "  ticks outside leadership      0 of 2"
    ])
    for (const line of text(Story.frozen, 60)) assert.isAtMost(line.length, 60)
  })

  it("names the steps that did not happen", () => {
    assert.deepStrictEqual(Summary.failures(Story.scene(...Story.terminated), steps), [
      "SIGSTOP of the leader, and what should follow, did not happen"
    ])
    // Woken up, and never said to have stopped.
    assert.strictEqual(Summary.failures(Story.scene(...Story.frozen.slice(0, -1)), steps).length, 1)
    // Killed, and nobody followed.
    assert.strictEqual(Summary.failures(Story.scene(...Story.killed.slice(0, -3)), ["kill"]).length, 1)
  })

  it("tells of a frozen leader that goes on under its old token, and counts it", () => {
    const happenings = [...Story.frozen, Story.worked(18_001, "hello-2", 9n, "ticked")]
    assert.deepStrictEqual(Summary.failures(Story.scene(...happenings), steps), [
      "work outside leadership, 2 times (above)"
    ])
    const lines = text(happenings)
    assert.include(lines.at(4), "1 of 2")
    assert.include(lines.at(6), "after 1 more ticks with its old token")
    assert.strictEqual(lines.at(7), "Ticks outside leadership: 1 of 6 in 4 terms.")
    assert.deepStrictEqual(lines.slice(8), [
      "  hello-2 (token 9) ticked 1993 ms after hello-3 (token 14) had begun",
      "  hello-2 (token 9) stopped 1995 ms after hello-3 (token 14) had begun"
    ])
  })
})
