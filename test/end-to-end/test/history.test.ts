/**
 * The judge of histories, on histories that it must find wrong and on those that it must let pass.
 */
import { assert, describe, it } from "@effect/vitest"
import * as History from "../src/History.ts"
import type { Entry, WorkEntry } from "../src/Journal.ts"

const work = (event: WorkEntry["event"], at: number, replica: string, token: number): Entry => ({
  event,
  at: BigInt(at),
  identity: replica,
  pid: replica.charCodeAt(0),
  token: BigInt(token)
})
const pidOf = (replica: string) => replica.charCodeAt(0)

/** A term with a tick every 10 from its start until it is told to stop. */
const term = (replica: string, token: number, from: number, stopping?: number, ended?: number): Array<Entry> => {
  const ticks = Array.from({ length: Math.ceil(((stopping ?? from + 100) - from) / 10) }, (_, n) => from + 1 + n * 10)
  return [
    work("Started", from, replica, token),
    ...ticks.map((at) => work("Tick", at, replica, token)),
    ...(stopping === undefined ? [] : [work("Stopping", stopping, replica, token)]),
    ...(ended === undefined ? [] : [work("Ended", ended, replica, token)])
  ]
}

const rules = (entries: ReadonlyArray<Entry>, pauses: ReadonlyArray<History.Pause> = []) =>
  History.violationsOf(entries, pauses).map(({ rule }) => rule)

const paused = (replica: string, from: number, until?: number): History.Pause => ({
  pid: pidOf(replica),
  from: BigInt(from),
  until: until === undefined ? undefined : BigInt(until)
})

describe("a history is right", () => {
  it("when one works after the other", () => {
    assert.deepStrictEqual(rules([...term("a", 1, 0, 100, 110), ...term("b", 2, 110, 200, 200)]), [])
  })

  it("when a process leads again", () => {
    const history = [...term("a", 1, 0, 100, 110), ...term("b", 2, 120, 200, 200), ...term("a", 5, 300)]
    assert.deepStrictEqual(rules(history), [])
  })

  it("when the next begins after the last work of a process that was killed", () => {
    assert.deepStrictEqual(rules([...term("a", 1, 0), ...term("b", 2, 92)]), [])
  })

  it("when a paused process does nothing but stop after the next has begun", () => {
    const history = [...term("a", 1, 0, undefined, undefined), ...term("b", 2, 500)]
    const cleanUp = [work("Stopping", 700, "a", 1), work("Ended", 710, "a", 1)]
    assert.deepStrictEqual(rules([...history, ...cleanUp], [paused("a", 95, 690)]), [])
  })

  it("whatever replicas say of their status", () => {
    const status: Entry = { event: "Leading", at: 50n, identity: "b", pid: pidOf("b") }
    assert.deepStrictEqual(rules([...term("a", 1, 0, 100, 110), status]), [])
  })
})

describe("a history is wrong", () => {
  it("when the next begins before the last finalizer has ended", () => {
    assert.deepStrictEqual(rules([...term("a", 1, 0, 100, 150), ...term("b", 2, 149, 200, 200)]), ["TwoAtOnce"])
  })

  it("when the next begins while a finalizer runs that never ends", () => {
    assert.deepStrictEqual(rules([...term("a", 1, 0, 100), ...term("b", 2, 99)]), ["TwoAtOnce"])
  })

  it("when two work under neighbouring terms, whatever lies between", () => {
    const history = [...term("a", 1, 0, 300, 310), ...term("b", 2, 100, 110, 110), ...term("c", 3, 200, 210, 210)]
    assert.deepStrictEqual(
      rules(history).filter((rule) => rule === "TwoAtOnce"),
      ["TwoAtOnce", "TwoAtOnce"]
    )
  })

  it("when a token does not grow", () => {
    assert.include(rules([...term("a", 2, 0, 100, 110), ...term("b", 2, 120, 200, 200)]), "TokenDidNotGrow")
    assert.include(rules([...term("a", 2, 0, 100, 110), ...term("b", 1, 120, 200, 200)]), "TokenDidNotGrow")
  })

  it("when work is done before its term, while it stops, after it, or without any", () => {
    const whole = term("a", 1, 0, 100, 110)
    for (const at of [-1, 105, 111]) {
      assert.include(rules([...whole, work("Tick", at, "a", 1)]), "OutsideItsTerm")
    }
    assert.deepStrictEqual(rules([work("Tick", 1, "a", 1)]), ["OutsideItsTerm"])
    assert.deepStrictEqual(rules([work("Ended", 1, "a", 1)]), ["OutsideItsTerm"])
  })

  it("when a term begins twice", () => {
    assert.include(rules([...term("a", 1, 0, 100, 110), work("Started", 120, "a", 1)]), "OutsideItsTerm")
  })

  it("when an older token works after a newer one has begun, though nothing of the newer one lasts", () => {
    const history = [...term("a", 1, 0), work("Started", 50, "b", 2)]
    assert.include(rules(history), "AfterANewerToken")
  })

  it("when a paused process works after it woke", () => {
    const history = [...term("a", 1, 0), ...term("b", 2, 500), work("Tick", 700, "a", 1)]
    assert.includeMembers(rules(history, [paused("a", 95, 690)]), ["TwoAtOnce", "AfterANewerToken"])
  })

  it("when a pause came before the work that overlaps", () => {
    const history = [...term("a", 1, 0, 100, 150), ...term("b", 2, 140, 200, 200)]
    assert.deepStrictEqual(rules(history, [paused("a", 50, 55)]), ["TwoAtOnce"])
  })
})

it("a term is told with its times, and a violation with who, under which token, and by how much", () => {
  const history = [...term("b", 2, 149_000, 149_001, 149_002), ...term("a", 1, 0, 10, 150_000)]
  assert.deepStrictEqual(History.termsOf(history)[0], {
    identity: "a",
    pid: pidOf("a"),
    token: 1n,
    startedAt: 0n,
    ticks: [1n],
    stoppingAt: 10n,
    endedAt: 150_000n,
    workedUntil: 150_000n
  })
  const [violation] = History.violationsOf(history)
  assert.strictEqual(
    violation?.detail,
    "b with token 2 began at 149000, and a with token 1 worked until 150000, 0.001 ms later"
  )
})
