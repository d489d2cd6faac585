/**
 * What changes tell: everything that is news to whoever reads them, in the end. They may skip versions and repeat them.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Observation } from "./Trial.ts"
import { discrepancies, say } from "./Trial.ts"
import type { Test } from "./Writing.ts"

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect)

const isAt = (last: Observation) => (told: Observation) => told.fence >= last.fence

const fromAnOlderVersion: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], record }) {
  const absent = yield* b.read
  const first = yield* a.write(yield* a.read, record("a"))
  const seen = yield* b.read
  const second = yield* a.write(first, record("a"))
  const third = yield* a.write(second, record("a"))
  for (const [handle, after] of [
    [a, first],
    [a, second],
    [b, seen],
    [b, absent]
  ] as const) {
    const follower = yield* handle.follow(after)
    const told = yield* follower.until(`tell, after ${say(after)}, of ${say(third)}`, isAt(third))
    const wrong = discrepancies(third, told)
    yield* check("changes", wrong.length === 0, "tell of the last version as it is", () => wrong.join(", "))
  }
}, scoped)

const silence: Test = Effect.fnUntraced(function* ({ check, handles: [a, b], quiet, record }) {
  const first = yield* a.write(yield* a.read, record("a"))
  const seen = yield* b.read
  const follower = yield* b.follow(seen)
  const told = yield* follower.during(quiet)
  const news = told.filter((it) => it.fence > seen.fence || Option.isNone(it.record))
  yield* check("changes", news.length === 0, "say nothing new while nobody writes", () => news.map(say).join("; "))
  const second = yield* a.write(first, record("a"))
  yield* follower.until(`tell of ${say(second)}`, isAt(second))
}, scoped)

const later = (turns: number) => (turns === 0 ? Effect.void : Effect.repeat(Effect.yieldNow, { times: turns - 1 }))

const atTheMoment: Test = Effect.fnUntraced(function* ({ handles: [a, b], record }) {
  yield* a.write(yield* a.read, record("a"))
  for (let index = 0; index < 20; index += 1) {
    const seen = { a: yield* a.read, b: yield* b.read }
    yield* Effect.scoped(
      Effect.gen(function* () {
        const [follower, written] = yield* Effect.all(
          [
            Effect.andThen(later(index % 5), b.follow(seen.b)),
            Effect.andThen(later(Math.floor(index / 5)), a.write(seen.a, record(`holder-${index}`)))
          ],
          { concurrency: "unbounded" }
        )
        yield* follower.until(
          `tell of a write that was under way when they were opened (${say(written)})`,
          isAt(written)
        )
      })
    )
  }
})

const bursts: Test = Effect.fnUntraced(function* ({ handles, record }) {
  const [a, b] = handles
  let last = yield* a.write(yield* a.read, record("a"))
  const follower = yield* b.follow(yield* b.read)
  for (const length of [1, 2, 3, 30, 1, 50]) {
    for (let index = 0; index < length; index += 1) last = yield* a.write(last, record(`holder-${index}`))
    yield* follower.until(`not end a burst of ${length} before the last write (${say(last)})`, isAt(last))
  }
}, scoped)

const severalWatchers: Test = Effect.fnUntraced(function* ({ check, handles, record }) {
  const [a] = handles
  const first = yield* a.write(yield* a.read, record("a"))
  const followers = yield* Effect.forEach(Array.from({ length: 12 }), (_, index) => {
    const handle = handles[index % handles.length] ?? a
    return Effect.flatMap(handle.read, (seen) => handle.follow(seen))
  })
  let last = first
  for (let index = 0; index < 5; index += 1) last = yield* a.write(last, record(`holder-${index}`))
  for (const [index, follower] of followers.entries()) {
    const told = yield* follower.until(`tell watcher ${index + 1} of 12 of ${say(last)}`, isAt(last))
    const wrong = discrepancies(last, told)
    yield* check("changes", wrong.length === 0, "tell every watcher the same", () => wrong.join(", "))
  }
}, scoped)

const resumed: Test = Effect.fnUntraced(function* ({ handles: [a, b], quiet, record }) {
  let last = yield* a.write(yield* a.read, record("a"))
  let reached = yield* b.read
  for (let index = 0; index < 5; index += 1) {
    const after = reached
    const missed = last
    reached = yield* Effect.scoped(
      Effect.gen(function* () {
        const follower = yield* b.follow(after)
        if (missed.fence > after.fence) {
          yield* follower.until(
            `tell, resumed after ${say(after)}, of what came meanwhile (${say(missed)})`,
            isAt(missed)
          )
        }
        const written = yield* a.write(missed, record(`told-${index}`))
        last = written
        return yield* follower.until(`go on with ${say(written)}`, isAt(written))
      })
    )
    // Nobody reads now.
    if (index % 2 === 0) last = yield* a.write(last, record(`missed-${index}`))
    if (index === 2) yield* Effect.sleep(quiet)
  }
})

const aReaderThatTakesNothing: Test = Effect.fnUntraced(function* ({ handles: [a, b], record }) {
  let last = yield* a.write(yield* a.read, record("a"))
  const seen = yield* b.read
  for (const handle of [a, b]) {
    const stuck = Stream.runForEach(handle.lock.changes(seen), () => Effect.never)
    yield* Effect.forkScoped(stuck, { startImmediately: true })
  }
  const follower = yield* b.follow(seen)
  for (let index = 0; index < 50; index += 1) last = yield* a.write(last, record(`holder-${index}`))
  yield* follower.until(`tell others of ${say(last)} while one reader takes nothing`, isAt(last))
}, scoped)

export const changes: ReadonlyArray<readonly [string, Test]> = [
  ["changes after an older version give the last one", fromAnOlderVersion],
  ["changes after the current version say nothing until there is a write", silence],
  ["a write at the moment when changes are opened is not missed", atTheMoment],
  ["changes never end with a lost last change, whatever burst came before", bursts],
  ["each of several watchers is told", severalWatchers],
  ["changes that were stopped go on after the last notice, with what came meanwhile", resumed],
  ["a reader that takes nothing holds up neither writes nor other readers", aReaderThatTakesNothing]
]
