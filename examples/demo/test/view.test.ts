import { assert, describe, it } from "@effect/vitest"
import type * as Scene from "../src/Scene.ts"
import { paint, width } from "../src/Text.ts"
import * as View from "../src/View.ts"
import * as Story from "./story.ts"

const draw = (happenings: ReadonlyArray<Scene.Happening>, now: number, columns = 80, rows = 40) =>
  View.frame(Story.scene(...happenings), { now, columns, rows, place: "embedded API server" }).map((line) =>
    paint(line, false).trimEnd()
  )

describe("the live view", () => {
  it("shows who leads, under which token, how long the lease lasts, and what everybody does", () => {
    const lines = draw(Story.calm, 3000)
    assert.deepStrictEqual(lines.slice(0, 9), [
      "effect-leader demo  embedded API server                                    3.0 s",
      "",
      "hello-0 leads  token 3  3.0 s left  ━━━━━━━━━━━━━━━━━━────────────",
      "",
      "  hello-0  leading     2 ticks                                             █████",
      "  hello-1  standby     0 ticks                                             ·····",
      "  hello-2  standby     0 ticks                                             ·····",
      "  █ leading   · standby   ▒ stopping   ░ frozen   × dead",
      ""
    ])
    assert.strictEqual(lines[9], "ticks outside leadership: 0 of 2")
    assert.strictEqual(lines.at(-1), "   1.000 s  hello-0 leads with token 3")
  })

  it("shows a killed leader that still holds the lease, then its successor", () => {
    const before = draw(Story.killed.slice(0, -3), 5000)
    assert.strictEqual(before[2], "hello-0 holds the Lease, dead  token 3  2.0 s left  ━━━━━━━━━━━─────────────────")
    assert.match(before[4] ?? "", /^ {2}hello-0 {2}dead .*███×$/)

    const after = draw(Story.killed, 7500)
    assert.match(after[2] ?? "", /^hello-1 leads {2}token 6 {2}4\.5 s left/)
    assert.strictEqual(after.at(-1), "            after its lease ran out", "a line that is too long goes on below")
  })

  it("shows a frozen leader, and that it stands by once it has woken up", () => {
    const before = draw(Story.frozen.slice(0, -5), 14_000)
    assert.match(before[2] ?? "", /^hello-2 holds the Lease, frozen {2}token 9 {2}2\.0 s left/)
    assert.isTrue(before.some((line) => /^ {2}hello-2 {2}frozen .*█████░░░░░░$/.test(line)))
    assert.isTrue(draw(Story.frozen, 18_500).some((line) => /^ {2}hello-2 {2}standby .*░░··$/.test(line)))
  })

  it("shows all that live, and the latest dead as far as there is room", () => {
    const lives = ["a", "b", "c", "d", "e"].flatMap((name) => [
      Story.launched(0, name),
      Story.ended(10, name, "SIGKILL")
    ])
    const names = draw([...lives, ...Story.calm], 3000)
      .slice(4)
      .map((line) => /^ {2}(\S+) +(?:dead|leading|standby) .* ticks/.exec(line)?.[1])
      .filter((name) => name !== undefined)
    assert.deepStrictEqual(names, ["c", "d", "e", "hello-0", "hello-1", "hello-2"])
  })

  it("says loudly when a tick was outside leadership", () => {
    const lines = draw([...Story.killed, Story.worked(7200, "hello-0", 3n, "ticked")], 7500)
    assert.include(lines, "ticks outside leadership: 1 of 4   1 violations")
  })

  it("fits the terminal, whatever its size, and offers keys only when they work", () => {
    for (const [columns, rows] of [
      [200, 60],
      [80, 24],
      [60, 20],
      [20, 8],
      [1, 1]
    ] as const) {
      const scene = Story.scene(...Story.frozen, { _tag: "HandedOver", at: 19_000 })
      const lines = View.frame(scene, { now: 20_000, columns, rows, place: "here" })
      assert.isAtMost(lines.length, rows)
      for (const line of lines) assert.isAtMost(width(line), columns)
      if (rows >= 20) assert.match(paint(lines.at(-1) ?? [], false), /^k kill -9 .* q quit$/)
    }
    assert.notMatch(draw(Story.frozen, 20_000).join("\n"), /quit/)
  })

  it("is coloured only where colours are wanted", () => {
    const [line = []] = View.frame(Story.scene(...Story.calm), { now: 0, columns: 80, rows: 24, place: "" })
    assert.include(paint(line, true), "\u001b[1meffect-leader demo\u001b[0m")
    assert.notInclude(paint(line, false), "\u001b")
  })
})
