/**
 * The register itself: who wins a write, what a read gives, and what identifies a version.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ConformanceFailure, Handle, Observation, Trial } from "./Trial.ts"
import { differences, discrepancies, holderOf, say } from "./Trial.ts"

export type Test = <E>(trial: Trial<E>) => Effect.Effect<void, ConformanceFailure | E>

const writers = 100
const rounds = 5

/** All write at the same time, each against what its handle read; exactly one may win, and a read gives what it wrote. */
export const race = Effect.fnUntraced(function* <E>(trial: Trial<E>, round: string) {
  const { check, handles, record } = trial
  const seen = new Map<Handle, Observation>()
  for (const handle of handles) seen.set(handle, yield* handle.read)
  const tries = Array.from({ length: writers }, (_, index) => {
    const handle = handles[index % handles.length] ?? handles[0]
    const expected = seen.get(handle)
    const next = record(`${round}-writer-${index}`)
    return expected === undefined ? Effect.succeedNone : handle.tryWrite(expected, next)
  })
  const results = yield* Effect.all(tries, { concurrency: "unbounded" })
  const winners = results.flatMap((result) => (Option.isSome(result) ? [result.value] : []))
  const [winner] = winners
  const all = () => `${winners.length} were told that they had won: ${winners.map(say).join("; ")}`
  yield* check("write", winners.length === 1, `let exactly one of ${writers} writers at once win`, all)
  if (winner === undefined) return undefined
  for (const handle of handles) {
    const now = yield* handle.read
    const differing = discrepancies(winner, now)
    yield* check("read", differing.length === 0, "give what the one winner wrote", () => differing.join(", "))
  }
  return winner
})

const neverWritten: Test = Effect.fnUntraced(function* ({ check, handles }) {
  for (const handle of [...handles, handles[0]]) {
    const seen = yield* handle.read
    yield* check("read", Option.isNone(seen.record), "give no record of what was never written", () => say(seen))
  }
})

const firstWrite: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record }) {
  const next = record("a")
  const absent = yield* a.read
  const written = yield* a.write(absent, next)
  const differing = differences(next, written.record)
  yield* check("write", differing.length === 0, "answer with the record that was written", () => differing.join(", "))
  yield* check("write", written.fence > absent.fence, `answer with a fence greater than ${absent.fence}`, () =>
    say(written)
  )
  for (const handle of [a, b]) {
    const seen = yield* handle.read
    const wrong = discrepancies(written, seen)
    yield* check("read", wrong.length === 0, "give the first write as it was answered", () => wrong.join(", "))
  }
})

const twoFirstWrites: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record }) {
  const absent = { a: yield* a.read, b: yield* b.read }
  const written = yield* a.write(absent.a, record("a"))
  yield* b.loses(absent.b, record("b"))
  yield* a.loses(absent.a, record("a"))
  const wrong = discrepancies(written, yield* b.read)
  yield* check("write", wrong.length === 0, "change nothing when it conflicts", () => wrong.join(", "))
})

const firstWritesAtOnce: Test = (trial) => Effect.asVoid(race(trial, "first"))

const olderVersion: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record }) {
  const first = yield* a.write(yield* a.read, record("a"))
  const seen = yield* b.read
  const second = yield* a.write(first, record("a"))
  yield* a.loses(first, record("a"))
  yield* b.loses(seen, record("b"))
  const wrong = discrepancies(second, yield* a.read)
  yield* check("write", wrong.length === 0, "change nothing when it conflicts", () => wrong.join(", "))
  const third = yield* b.write(yield* b.read, record("b"))
  yield* a.loses(second, record("a"))
  const wrongAgain = discrepancies(third, yield* b.read)
  yield* check("write", wrongAgain.length === 0, "change nothing when it conflicts", () => wrongAgain.join(", "))
})

const manyWriters: Test = Effect.fnUntraced(function* (trial) {
  yield* trial.handles[0].write(yield* trial.handles[0].read, trial.record("a"))
  let last: Observation | undefined
  for (let round = 1; round <= rounds; round += 1) {
    const winner = yield* race(trial, `round-${round}`)
    const grows = last === undefined || winner === undefined || winner.fence > last.fence
    yield* trial.check("write", grows, "give every winner a greater fence than the one before", () =>
      [last, winner].map((it) => (it === undefined ? "nobody" : say(it))).join(" was followed by ")
    )
    last = winner
  }
})

const growingFences: Test = Effect.fnUntraced(function* ({ check, handles, record }) {
  const versions = new Set<string>()
  let last = yield* handles[0].read
  for (let index = 0; index < 20; index += 1) {
    const handle = handles[index % handles.length] ?? handles[0]
    const written = yield* handle.write(yield* handle.read, record(`holder-${index}`))
    const before = say(last)
    yield* check("write", written.fence > last.fence, `give a greater fence than ${before}`, () => say(written))
    yield* check("write", !versions.has(written.version), "give a version that was never there", () => say(written))
    versions.add(written.version)
    last = written
  }
})

const readYourWrites: Test = Effect.fnUntraced(function* ({ check, handles, record }) {
  let current = yield* handles[0].read
  for (let index = 0; index < 20; index += 1) {
    const writer = handles[index % handles.length] ?? handles[0]
    current = yield* writer.write(yield* writer.read, record(`holder-${index}`))
    const answered = say(current)
    for (const handle of handles) {
      const seen = yield* handle.read
      const isLast = seen.version === current.version && seen.fence === current.fence
      yield* check(
        "read",
        isLast,
        `give the write that was answered before (${answered})`,
        () => `it gave ${say(seen)}`
      )
    }
  }
})

const oneVersion: Test = Effect.fnUntraced(
  function* ({ check, handles: [a, b], record }) {
    const first = yield* a.write(yield* a.read, record("a", { incarnation: "i-1", transitions: 3 }))
    const follower = yield* b.follow(yield* b.read)
    const second = yield* a.write(first, record("a", { incarnation: "i-1", transitions: 4 }))
    const read = discrepancies(second, yield* b.read)
    yield* check("read", read.length === 0, "agree with the answer to the write", () => read.join(", "))
    const notice = yield* follower.until(`tell of ${say(second)}`, ({ fence }) => fence >= second.fence)
    const told = discrepancies(second, notice)
    yield* check("changes", told.length === 0, "agree with the answer to the write", () => told.join(", "))
  },
  (effect) => Effect.scoped(effect)
)

const roundTrip: Test = Effect.fnUntraced(function* ({ check, durationUnit, handles: [a, b], record, timeUnit }) {
  const unit = Duration.toMillis(timeUnit)
  const at = (iso: string, units: number) =>
    DateTime.makeUnsafe(DateTime.toEpochMillis(DateTime.makeUnsafe(iso)) + units * unit)
  const records = [
    record("a pod/with:odd characters, and ümläuts_0"),
    record("a", { incarnation: "0123456789abcdef" }),
    record("a", { transitions: 2 ** 31 - 1 }),
    record("a", { leaseDuration: durationUnit }),
    record("a", { leaseDuration: Duration.times(durationUnit, 86_400) }),
    record("a", { acquiredAt: at("2026-01-02T03:04:05Z", 1), renewedAt: at("2026-12-31T23:59:59Z", 1) }),
    record("a", { acquiredAt: at("1970-01-01T00:00:00Z", 0), renewedAt: at("2106-02-07T06:28:16Z", 0) }),
    record("b", { incarnation: "another", address: "10.1.2.3:8080" }),
    record("a", { address: "[2001:db8::1]:65535" }),
    record("a b", { address: "reports-0.reports.default.svc:80" }),
    record("", { holder: Option.none(), leaseDuration: Duration.times(durationUnit, 1) }),
    record("c")
  ]
  for (const next of records) {
    const written = yield* a.write(yield* a.read, next)
    const answered = differences(next, written.record)
    yield* check("write", answered.length === 0, "answer with the record that was written", () => answered.join(", "))
    const seen = yield* b.read
    const read = differences(next, seen.record)
    yield* check("read", read.length === 0, "give the record that was written", () => read.join(", "))
  }
})

const sameAgain: Test = Effect.fnUntraced(
  function* ({ check, handles: [a, b], record }) {
    const next = record("a", { incarnation: "i-1" })
    const first = yield* a.write(yield* a.read, next)
    const follower = yield* b.follow(yield* b.read)
    const second = yield* a.write(first, next)
    yield* check("write", second.fence > first.fence, "give a new fence to a record that is the same", () =>
      [first, second].map(say).join(" was followed by ")
    )
    // Where equal records are no write, a lock may tell the time of the renewal a little later.
    const differing = differences(next, second.record, ["renewedAt"])
    yield* check("write", differing.length === 0, "keep the record", () => differing.join(", "))
    yield* follower.until(`tell of ${say(second)}`, ({ fence }) => fence === second.fence)
    yield* b.loses(first, record("b"))
  },
  (effect) => Effect.scoped(effect)
)

const anyObservation: Test = Effect.fnUntraced(
  function* ({ check, handles: [a, b], record }) {
    const first = yield* a.write({ ...(yield* a.read) }, record("a"))
    const follower = yield* b.follow(yield* b.read)
    const second = yield* a.write({ ...first }, record("a"))
    const notice = yield* follower.until(`tell of ${say(second)}`, ({ fence }) => fence >= second.fence)
    const third = yield* b.write(notice, record("b"))
    const fourth = yield* b.write(third, record("b"))
    yield* a.loses({ ...second }, record("a"))
    const wrong = discrepancies(fourth, yield* a.read)
    yield* check("write", wrong.length === 0, `leave ${holderOf(fourth)} as the holder`, () => wrong.join(", "))
  },
  (effect) => Effect.scoped(effect)
)

export const writing: ReadonlyArray<readonly [string, Test]> = [
  ["what was never written reads as absent, and reading does not make it", neverWritten],
  ["the first write against absence wins, and a read gives it as it was answered", firstWrite],
  ["of two first writes against one absence the second conflicts and changes nothing", twoFirstWrites],
  ["of 100 first writes at once exactly one wins", firstWritesAtOnce],
  ["a write against an older version conflicts and changes nothing", olderVersion],
  ["of 100 writers at once exactly one wins, round after round", manyWriters],
  ["fences grow with every write, and no version comes twice", growingFences],
  ["a read gives every write that was answered before it was sent, through every handle", readYourWrites],
  ["the answer to a write, a read and a notice agree on record, version, fence and uid", oneVersion],
  ["a record comes back as it was written", roundTrip],
  ["the same record written again is a write", sameAgain],
  ["what a write, a read or a notice told can be written against, also as a copy", anyObservation]
]
