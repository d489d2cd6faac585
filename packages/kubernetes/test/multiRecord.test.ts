import type { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { combine, isWhole, unknownHolder, type Half } from "../src/internal/MultiRecord.ts"
import { record } from "./Registers.ts"

const half = (of: LeaseLock.LeaseRecord, version: number, uid = "u"): Half => ({
  observation: { record: Option.some(of), version: String(version), fence: BigInt(version), uid },
  last: of
})
/** Never there, as far as this process knows. */
const never: Half = { observation: { record: Option.none(), version: "absent", fence: 0n }, last: undefined }
const deleted = (last: LeaseLock.LeaseRecord): Half => ({
  observation: { record: Option.none(), version: "absent", fence: 90n },
  last
})

const free = (change: Partial<LeaseLock.LeaseRecord> = {}) =>
  record(undefined, 5, { leaseDuration: Duration.seconds(1), ...change })
const ours = (holder: string, at: number, change: Partial<LeaseLock.LeaseRecord> = {}) =>
  record(holder, at, { incarnation: `of ${holder}`, ...change })

const recordOf = (primary: Half, secondary: Half) => Option.getOrThrow(combine({ primary, secondary }).record)
const holderOf = (primary: Half, secondary: Half) => Option.getOrUndefined(recordOf(primary, secondary).holder)
const uidOf = (primary: Half, secondary: Half) => combine({ primary, secondary }).uid

describe("what two locks say as one", () => {
  it("nobody holds either: absent, free, or free in the one that there is", () => {
    assert.isTrue(Option.isNone(combine({ primary: never, secondary: never }).record))
    for (const [primary, secondary] of [
      [half(free(), 1), half(free(), 2)],
      [half(free(), 1), never],
      [never, half(free(), 1)]
    ] as const) {
      assert.isTrue(Option.isNone(recordOf(primary, secondary).holder))
      assert.isUndefined(recordOf(primary, secondary).incarnation)
    }
  })

  it("one that was deleted is no free one: its holder may still work", () => {
    for (const [primary, secondary] of [
      [half(free(), 1), deleted(ours("a", 1))],
      [deleted(ours("a", 1)), half(free(), 1)],
      [deleted(ours("a", 1)), never]
    ] as const) {
      assert.isTrue(Option.isNone(combine({ primary, secondary }).record))
    }
  })

  it("both free, but one emptied by somebody else: its incarnation shows", () => {
    const emptied = half(free({ incarnation: "of a" }), 1)
    assert.strictEqual(recordOf(emptied, half(free(), 2)).incarnation, "of a")
    assert.strictEqual(recordOf(half(free(), 2), emptied).incarnation, "of a")
    assert.strictEqual(recordOf(emptied, never).incarnation, "of a")
  })

  it("both held by one process: the later times, the greater duration and transitions", () => {
    const a = ours("a", 10, { transitions: 7, acquiredAt: DateTime.makeUnsafe(3), address: "a:1" })
    const b = ours("a", 12, { leaseDuration: Duration.seconds(30), transitions: 2 })
    const both = {
      ...ours("a", 12),
      acquiredAt: DateTime.makeUnsafe(3),
      address: "a:1",
      leaseDuration: Duration.seconds(30),
      transitions: 7
    }
    assert.deepStrictEqual(recordOf(half(a, 1), half(b, 2)), both)
    assert.deepStrictEqual(recordOf(half(b, 1), half(a, 2)), both)
    assert.strictEqual(uidOf(half(a, 1, "p"), half(b, 2, "s")), "p/s")
  })

  it.each([
    ["another one is free", half(free({ transitions: 9 }), 2)],
    ["another was never there", never]
  ])("held in one while %s: by its holder, with other lives than when both are held", (_, other) => {
    for (const [primary, secondary] of [
      [half(ours("a", 10), 1, "held"), other],
      [other, half(ours("a", 10), 1, "held")]
    ] as const) {
      const { transitions, ...rest } = recordOf(primary, secondary)
      assert.deepStrictEqual({ ...rest, transitions: 0 }, ours("a", 10))
      assert.strictEqual(transitions, other === never ? 0 : 9)
      const uid = uidOf(primary, secondary)
      assert.include(["held/-", "-/held"], uid)
      assert.notStrictEqual(uid, uidOf(half(ours("a", 10), 1, "held"), half(ours("a", 10), 2, "held")))
    }
  })

  it("held in one while the other was emptied under the same holder: by its holder", () => {
    const emptied = half(free({ incarnation: "of a" }), 1)
    assert.strictEqual(holderOf(half(ours("a", 10), 2), emptied), "a")
    assert.strictEqual(holderOf(emptied, half(ours("a", 10), 2)), "a")
  })

  const long = { leaseDuration: Duration.seconds(60) }
  it.each<[string, Half, Half]>([
    ["two holders", half(ours("a", 10), 1), half(ours("b", 11, long), 2)],
    ["one holder, and one whose half was deleted", half(ours("a", 10), 1), deleted(ours("b", 3, long))],
    ["one holder, and its own half that was deleted", half(ours("a", 10, long), 1), deleted(ours("a", 10))],
    [
      "one holder, and one whose half was emptied",
      half(ours("a", 10, long), 1),
      half(free({ incarnation: "of b" }), 2)
    ],
    [
      "one holder without incarnation, and one whose half was emptied",
      half(record("go", 10, long), 1),
      half(free({ incarnation: "of b" }), 2)
    ]
  ])("%s: in dispute, for the longer duration, and nobody's own", (_, a, b) => {
    for (const [primary, secondary] of [
      [a, b],
      [b, a]
    ] as const) {
      const combined = recordOf(primary, secondary)
      assert.include(Option.getOrThrow(combined.holder), unknownHolder)
      assert.isUndefined(combined.incarnation)
      assert.strictEqual(Duration.toSeconds(combined.leaseDuration), 60)
    }
  })

  it.each([
    ["of two incarnations", ours("a", 10), ours("a", 10, { incarnation: "another" })],
    ["of one incarnation and none", ours("a", 10), record("a", 10)]
  ])("one identity %s: held by it, but by no process of ours", (_, a, b) => {
    for (const combined of [recordOf(half(a, 1), half(b, 2)), recordOf(half(b, 1), half(a, 2))]) {
      assert.deepStrictEqual(combined.holder, Option.some("a"))
      assert.isUndefined(combined.incarnation)
    }
  })

  it.each<[string, LeaseLock.LeaseRecord, LeaseLock.LeaseRecord]>([
    ["in dispute", ours("a", 10), ours("b", 900_000)],
    ["of one identity without incarnation", record("go", 10), record("go", 900_000)]
  ])("each renewal of either half shows %s, though its clock is behind the other's", (_, a, b) => {
    const before = combine({ primary: half(a, 1), secondary: half(b, 2) })
    const renewed = { ...a, renewedAt: DateTime.makeUnsafe(20) }
    const changed = [
      combine({ primary: half(renewed, 3), secondary: half(b, 2) }),
      combine({ primary: half(b, 1), secondary: half(a, 2) }),
      combine({ primary: half(b, 1), secondary: half(renewed, 3) })
    ]
    for (const [index, now] of changed.entries()) assert.notStrictEqual(now.uid, before.uid, String(index))
    // While metadata does not.
    assert.strictEqual(combine({ primary: half(a, 7), secondary: half(b, 8) }).uid, before.uid)
  })

  it("the version is both versions, the fence the greater one", () => {
    const combined = combine({ primary: half(ours("a", 1), 7), secondary: half(ours("a", 1), 5) })
    assert.strictEqual(combined.version, "7/5")
    assert.strictEqual(combined.fence, 7n)
    assert.strictEqual(combine({ primary: deleted(ours("a", 1)), secondary: never }).fence, 90n)
  })

  it("is whole when both say the same, and when nobody holds either", () => {
    const whole = (primary: Half, secondary: Half) => isWhole({ primary, secondary })
    assert.isTrue(whole(half(ours("a", 10), 1), half(ours("a", 10), 2)))
    assert.isFalse(whole(half(ours("a", 12), 1), half(ours("a", 10), 2)))
    assert.isFalse(whole(half(ours("a", 10), 1), half(ours("b", 10), 2)))
    assert.isFalse(whole(half(ours("a", 10), 1), half(free(), 2)))
    assert.isFalse(whole(never, half(ours("a", 10), 2)))
    assert.isTrue(whole(half(record("go", 12_000), 1), half(record("go", 12_345), 2)))
    assert.isFalse(whole(half(record("a", 12_344), 1), half(record("a", 12_345), 2)))
    assert.isFalse(whole(half(record("go", 11_000), 1), half(record("go", 12_345), 2)))
    assert.isFalse(whole(half(ours("a", 12_000), 1), half(ours("a", 12_345), 2)))
    assert.isTrue(whole(half(free(), 1), half(free(), 2)))
    assert.isTrue(whole(half(free(), 1), never))
  })
})
