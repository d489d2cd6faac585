import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MultiLock from "../src/internal/MultiLock.ts"
import { unknownHolder } from "../src/internal/MultiRecord.ts"
import { makeStore, record } from "./Registers.ts"

type Lock = LeaseLock.LeaseLock["Service"]

const kinds = { primary: "configmaps", secondary: "leases" }

const setup = Effect.gen(function* () {
  const store = makeStore()
  const primary = yield* store("primary")
  const secondary = yield* store("secondary")
  /** As another process has it, with halves that fail as the test wants. */
  const pair = (change: { readonly [K in "primary" | "secondary"]?: (lock: Lock) => Lock } = {}) =>
    MultiLock.make({
      name: "pair",
      kinds,
      primary: (change.primary ?? ((lock) => lock))(primary.handle()),
      secondary: (change.secondary ?? ((lock) => lock))(secondary.handle())
    })
  return { primary, secondary, pair }
})

const ours = (holder: string, at: number) => record(holder, at, { incarnation: `of ${holder}` })

const holderOf = ({ record }: LeaseLock.Observation) =>
  Option.getOrUndefined(Option.flatMap(record, ({ holder }) => holder))

const reasonOf = <A>(effect: Effect.Effect<A, LeaseLock.LockError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const unavailable = new LeaseLock.LockError({
  lock: "pair",
  reason: new LeaseLock.Unavailable({ detail: "no answer" })
})
const deaf = (lock: Lock): Lock => ({ ...lock, write: () => Effect.fail(unavailable) })

/** All that is told, as it is told. */
const follow = Effect.fnUntraced(function* (lock: Lock, after: LeaseLock.Observation) {
  const told: Array<string> = []
  const seen: Array<LeaseLock.Observation> = []
  yield* lock.changes(after).pipe(
    Stream.runForEach((observation) =>
      Effect.sync(() => {
        seen.push(observation)
        told.push(`${holderOf(observation) ?? "nobody"} ${observation.version}`)
      })
    ),
    Effect.catch(({ reason }) => Effect.sync(() => told.push(reason._tag))),
    Effect.forkScoped({ startImmediately: true })
  )
  yield* pass("0 millis")
  return { told, seen }
})

const pass = (duration: Duration.Input) =>
  Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), TestClock.adjust(duration))

/** A half whose notices take so long. */
const late =
  (by: Duration.Input) =>
  (lock: Lock): Lock => ({
    ...lock,
    changes: (after) => Stream.tap(lock.changes(after), () => Effect.sleep(by))
  })

describe("a write of a pair", () => {
  it.effect("goes to the primary first, then to the secondary, and gives the greater fence", () =>
    Effect.gen(function* () {
      const { pair, primary, secondary } = yield* setup
      const lock = pair()
      const written = yield* lock.write(yield* lock.read, ours("a", 1))
      assert.isTrue(primary.current().fence < secondary.current().fence)
      assert.strictEqual(written.fence, secondary.current().fence)
      assert.deepStrictEqual(written.record, Option.some(ours("a", 1)))
      assert.deepStrictEqual(yield* pair().read, written)
    })
  )

  it.effect("loses against one who wrote the primary before, and leaves the secondary alone", () =>
    Effect.gen(function* () {
      const { pair, primary, secondary } = yield* setup
      const lock = pair()
      const absent = yield* lock.read
      yield* primary.put(record("old kind", 1))
      assert.strictEqual((yield* reasonOf(lock.write(absent, ours("a", 1))))._tag, "Conflict")
      assert.isTrue(Option.isNone(secondary.current().record))
    })
  )

  it.effect("that claims the pair, and loses the secondary to another, gives the primary back", () =>
    Effect.gen(function* () {
      const { pair, primary, secondary } = yield* setup
      const lock = pair()
      const absent = yield* lock.read
      yield* secondary.put(record("new kind", 1))
      assert.strictEqual((yield* reasonOf(lock.write(absent, ours("a", 1))))._tag, "Conflict")
      assert.isUndefined(holderOf(primary.current()))
      assert.isUndefined(Option.getOrThrow(primary.current().record).incarnation)
      assert.strictEqual(holderOf(yield* pair().read), "new kind")
    })
  )

  it.effect("that claims the pair, and may not write the secondary, gives the primary back", () =>
    Effect.gen(function* () {
      const { pair, primary } = yield* setup
      const denied = new LeaseLock.LockError({ lock: "pair", reason: new LeaseLock.Denied({}) })
      const lock = pair({ secondary: (own) => ({ ...own, write: () => Effect.fail(denied) }) })
      assert.strictEqual((yield* reasonOf(lock.write(yield* lock.read, ours("a", 1))))._tag, "Denied")
      assert.isUndefined(holderOf(primary.current()))
    })
  )

  it.effect("that claims the pair is no news of anybody else, however long the secondary takes", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      const former = pair()
      yield* former.write(yield* former.read, ours("a", 1))
      const lock = pair({
        secondary: (own) => ({ ...own, write: (...args) => Effect.delay(own.write(...args), "2 seconds") })
      })
      const before = yield* lock.read
      const { told } = yield* follow(lock, before)
      const claim = yield* Effect.forkChild(lock.write(before, ours("b", 2)), { startImmediately: true })
      yield* pass("1900 millis")
      assert.deepStrictEqual(told, [])
      yield* pass("1 second")
      const { version } = yield* Fiber.join(claim)
      assert.deepStrictEqual(told, [`b ${version}`])
    })
  )

  it.effect("that renews it, and loses the secondary to another, leaves the primary held: nobody holds the pair", () =>
    Effect.gen(function* () {
      const { pair, secondary } = yield* setup
      const lock = pair()
      const held = yield* lock.write(yield* lock.read, ours("a", 1))
      yield* secondary.put(record("new kind", 1))
      assert.strictEqual((yield* reasonOf(lock.write(held, ours("a", 2))))._tag, "Conflict")
      assert.strictEqual(holderOf(yield* lock.read), `${unknownHolder} (a, new kind)`)
      assert.strictEqual(holderOf(yield* pair().read), `${unknownHolder} (a, new kind)`)
    })
  )

  it.effect("whose second half gets no answer is in doubt, shows its writer, and can be written again", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      let isDeaf = true
      const lock = pair({
        secondary: (own) => ({ ...own, write: (...args) => (isDeaf ? deaf(own) : own).write(...args) })
      })
      assert.strictEqual((yield* reasonOf(lock.write(yield* lock.read, ours("a", 1))))._tag, "Unavailable")
      const half = yield* lock.read
      assert.deepStrictEqual(half.record, Option.some(ours("a", 1)))
      isDeaf = false
      const whole = yield* lock.write(half, ours("a", 2))
      assert.deepStrictEqual(whole.record, Option.some(ours("a", 2)))
      assert.notStrictEqual(whole.uid, half.uid)
    })
  )

  it.effect("that is interrupted between the halves leaves one that another can see and take over", () =>
    Effect.gen(function* () {
      const { pair, primary } = yield* setup
      const stuck = pair({ secondary: (own) => ({ ...own, write: () => Effect.never }) })
      const fiber = yield* Effect.forkChild(stuck.write(yield* stuck.read, ours("a", 1)), { startImmediately: true })
      yield* pass("1 second")
      fiber.interruptUnsafe()
      assert.strictEqual(holderOf(primary.current()), "a")
      const other = pair()
      const seen = yield* other.read
      assert.strictEqual(holderOf(seen), "a")
      assert.strictEqual(holderOf(yield* other.write(seen, ours("b", 2))), "b")
    })
  )

  it.effect("of locks that do not count together fails whichever counts ahead, and says so", () =>
    Effect.gen(function* () {
      const memory = () =>
        Effect.map(Layer.build(LeaseLock.layerMemory()), (context) => Context.get(context, LeaseLock.LeaseLock))
      for (const ahead of ["primary", "secondary"] as const) {
        const halves = { primary: yield* memory(), secondary: yield* memory() }
        for (let i = 0; i < 5; i++) yield* halves[ahead].write(yield* halves[ahead].read, record(undefined, i))
        const lock = MultiLock.make({ name: "pair", kinds, ...halves })
        for (let attempt = 1; attempt <= 3; attempt++) {
          const reason = yield* reasonOf(lock.write(yield* lock.read, ours("a", attempt)))
          assert.strictEqual(reason._tag, "Malformed")
          assert.include(reason.detail, "configmaps and leases do not count together")
          assert.include(reason.detail, "--etcd-servers-overrides")
        }
      }
    })
  )

  it.effect("against an observation that somebody else made counts by version and lives", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      const lock = pair()
      const first = yield* lock.write({ ...(yield* lock.read) }, ours("a", 1))
      const second = yield* pair().write({ ...first }, ours("a", 2))
      assert.strictEqual((yield* reasonOf(lock.write({ ...first }, ours("a", 3))))._tag, "Conflict")
      assert.strictEqual((yield* reasonOf(lock.write({ ...second, uid: "x" }, ours("a", 3))))._tag, "Conflict")
    })
  )
})

describe("the changes of a pair", () => {
  it.effect("a write of both is one notice, in whichever order the halves are told", () =>
    Effect.gen(function* () {
      for (const slow of ["primary", "secondary"] as const) {
        const { pair } = yield* setup
        const writer = pair()
        const reader = pair({ [slow]: late("300 millis") })
        const first = yield* writer.write(yield* writer.read, ours("a", 1))
        const { told } = yield* follow(reader, yield* reader.read)
        const second = yield* writer.write(first, ours("a", 2))
        yield* pass("299 millis")
        assert.deepStrictEqual(told, [], slow)
        yield* pass("1 millis")
        assert.deepStrictEqual(told, [`a ${second.version}`], slow)
      }
    })
  )

  it.effect("a write of one half alone is told after a second", () =>
    Effect.gen(function* () {
      const { pair, primary } = yield* setup
      const lock = pair()
      yield* lock.write(yield* lock.read, record(undefined, 1))
      const { told } = yield* follow(lock, yield* lock.read)
      yield* primary.put(record("old kind", 2))
      yield* pass("999 millis")
      assert.deepStrictEqual(told, [])
      yield* pass("1 millis")
      assert.deepStrictEqual(told, ["old kind 3/2"])
    })
  )

  it.effect("a release of one half that leaves the pair free is told at once", () =>
    Effect.gen(function* () {
      const { pair, primary } = yield* setup
      yield* primary.put(record("old kind", 1))
      const lock = pair()
      const { told } = yield* follow(lock, yield* lock.read)
      yield* primary.put(record(undefined, 2))
      yield* pass("0 millis")
      assert.deepStrictEqual(told, ["nobody 2/absent"])
    })
  )

  it.effect("a half that is told too late to be in order ends them: read again", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      const writer = pair()
      const reader = pair({ primary: late("3 seconds") })
      const first = yield* writer.write(yield* writer.read, ours("a", 1))
      const { told } = yield* follow(reader, yield* reader.read)
      const second = yield* writer.write(first, ours("b", 2))
      yield* pass("1 second")
      assert.deepStrictEqual(told, [`${unknownHolder} (a, b) 1/4`])
      yield* pass("2 seconds")
      assert.deepStrictEqual(told.slice(1), ["Unavailable"])
      assert.strictEqual((yield* reader.read).version, second.version)
    })
  )

  it.effect("a read that came between the halves of a write is made up for", () =>
    Effect.gen(function* () {
      const { pair, primary, secondary } = yield* setup
      const lock = pair()
      yield* lock.write(yield* lock.read, ours("a", 1))
      yield* primary.put(ours("a", 2))
      const between = yield* lock.read
      const { told } = yield* follow(lock, between)
      yield* secondary.put(ours("a", 2))
      yield* pass("0 millis")
      assert.deepStrictEqual(told, ["a 3/4"])
    })
  )

  it.effect("fences grow, and the last one is told, however slow the reader and fast the writers are", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      const writer = pair()
      const reader = pair({ primary: late("7 millis"), secondary: late("3 millis") })
      let last = yield* writer.write(yield* writer.read, ours("a", 0))
      const { seen, told } = yield* follow(reader, last)
      for (let i = 1; i <= 50; i++) {
        last = yield* writer.write(last, ours("a", i))
        yield* pass("5 millis")
      }
      yield* pass("10 seconds")
      assert.strictEqual(told.at(-1), `a ${last.version}`)
      const fences = seen.map(({ fence }) => fence)
      assert.deepStrictEqual(
        fences,
        fences.toSorted((a, b) => (a < b ? -1 : 1))
      )
      assert.strictEqual(new Set(fences).size, fences.length)
    })
  )

  it.effect("the deletion of one half is in dispute, of both it is absence", () =>
    Effect.gen(function* () {
      const { pair, primary, secondary } = yield* setup
      const lock = pair()
      const { told } = yield* follow(lock, yield* lock.write(yield* lock.read, ours("a", 1)))
      yield* primary.remove
      yield* pass("1 second")
      yield* secondary.remove
      yield* pass("1 second")
      assert.deepStrictEqual(told, [`${unknownHolder} (nobody, a) absent/2`, "nobody absent/absent"])
    })
  )

  it.effect("after an observation that somebody else made begin with what came since", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      const lock = pair()
      const first = yield* lock.write(yield* lock.read, ours("a", 1))
      const second = yield* lock.write(first, ours("a", 2))
      const { told } = yield* follow(pair(), { ...first })
      assert.deepStrictEqual(told, [`a ${second.version}`])
    })
  )

  it.effect("end with an error when those of one half do", () =>
    Effect.gen(function* () {
      const { pair } = yield* setup
      const lock = pair({ secondary: (own) => ({ ...own, changes: () => Stream.fail(unavailable) }) })
      const { told } = yield* follow(lock, yield* lock.read)
      assert.deepStrictEqual(told, ["Unavailable"])
    })
  )
})
