/**
 * What happens when somebody removes the register: its end is told, and nothing of the former life counts in the next one.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Observation } from "./Trial.ts"
import { say } from "./Trial.ts"
import { race, type Test } from "./Writing.ts"

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect)

const absence: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record, remove, stranger }) {
  const first = yield* a.write(yield* a.read, record("a"))
  const second = yield* b.write(yield* b.read, record("b"))
  yield* remove
  for (const [handle, known] of [
    [a, first.fence],
    [b, second.fence],
    [stranger, 0n]
  ] as const) {
    const seen = yield* handle.read
    yield* check("read", Option.isNone(seen.record), "give no record of what was removed", () => say(seen))
    yield* check("read", seen.fence >= known, `give the greatest fence that is known (${known})`, () => say(seen))
  }
})

const told: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record, remove }) {
  let last = yield* a.write(yield* a.read, record("a"))
  const follower = yield* b.follow(yield* b.read)
  for (let life = 1; life <= 3; life += 1) {
    yield* remove
    const gone = yield* follower.until(`tell of the removal of ${say(last)}`, (it) => Option.isNone(it.record))
    const former = say(last)
    yield* check("changes", gone.fence >= last.fence, `give a removal no smaller a fence than ${former}`, () =>
      say(gone)
    )
    const next = yield* a.write(yield* a.read, record(`life-${life}`))
    const notice = yield* follower.until(`tell of the next life (${say(next)})`, ({ fence }) => fence >= next.fence)
    yield* check("changes", notice.version === next.version, "tell of it as it was answered", () => say(notice))
    last = next
  }
}, scoped)

const writeAgainstTheRemoved: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record, remove }) {
  const written = yield* a.write(yield* a.read, record("a"))
  const seen = yield* b.read
  yield* remove
  yield* a.loses(written, record("a"))
  yield* b.loses(seen, record("b"))
  yield* a.loses({ ...written }, record("a"))
  const after = yield* a.read
  yield* check("write", Option.isNone(after.record), "not bring back what was removed", () => say(after))
})

const growingFences: Test = Effect.fnUntraced(function* ({ check, handles, record, remove, stranger }) {
  let greatest = 0n
  const fences: Array<bigint> = []
  for (let life = 0; life < 5; life += 1) {
    const handle = life === 3 ? stranger : (handles[life % handles.length] ?? handles[0])
    for (const round of [1, 2]) {
      const written = yield* handle.write(yield* handle.read, record(`life-${life}-${round}`))
      fences.push(written.fence)
      const before = greatest
      yield* check(
        "write",
        written.fence > before,
        `give a fence greater than all before the removal (${before})`,
        () => `the fences were ${fences.join(", ")}`
      )
      greatest = written.fence
    }
    yield* remove
  }
})

const otherLife: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record, remove }) {
  const same = record("a", { incarnation: "i-1" })
  const lives: Array<Observation> = []
  for (let life = 0; life < 3; life += 1) {
    const written = yield* a.write(yield* a.read, same)
    const uids = lives.map(({ uid }) => uid)
    const isNew = written.uid !== undefined && !uids.includes(written.uid)
    yield* check(
      "write",
      isNew,
      "give each life of what can be removed a uid of its own",
      () => `${say(written)} came after ${lives.length === 0 ? "nothing" : lives.map(say).join("; ")}`
    )
    for (const former of lives) {
      yield* a.loses(former, record("a"))
      yield* b.loses({ ...former }, record("b"))
    }
    const now = yield* b.read
    yield* check("write", now.version === written.version, "change nothing when it conflicts", () => say(now))
    lives.push(written)
    yield* remove
  }
})

const firstWritesAgain: Test = Effect.fnUntraced(function* (trial) {
  const [a] = trial.handles
  yield* a.write(yield* a.read, trial.record("a"))
  yield* trial.remove
  yield* race(trial, "again")
})

export const removal: ReadonlyArray<readonly [string, Test]> = [
  ["what was removed reads as absent, with the greatest fence that is known", absence],
  ["changes tell of the removal, and of the next life", told],
  ["a write against what was removed conflicts and does not bring it back", writeAgainstTheRemoved],
  ["fences grow across removal, also for a handle that saw nothing of it", growingFences],
  ["each life has a uid of its own, and a write against a former life conflicts", otherLife],
  ["of 100 first writes after a removal exactly one wins", firstWritesAgain]
]
