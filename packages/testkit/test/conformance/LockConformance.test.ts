/**
 * The conformance suite itself: that good locks pass it, and that each of its cases fails for a lock that breaks what the
 * case is about.
 */
import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { FaultyLock, LockConformance } from "../../src/index.ts"
import { brokenChanges } from "./BrokenChanges.ts"
import { type Broken, brokenWrites } from "./BrokenLocks.ts"

const remove = () => Effect.flatMap(FaultyLock.Register, (register) => register.remove)
const hasty = { patience: "300 millis", quiet: "50 millis" } as const

describe.concurrent("a register in memory that can be removed, seen through a network without faults", () => {
  const cases = LockConformance.cases({
    layer: FaultyLock.layer.pipe(Layer.provideMerge(FaultyLock.layerRegister())),
    remove,
    open: () => Effect.map(FaultyLock.FaultyLock, (faults) => faults.open())
  })
  for (const { name, test } of cases) it.effect(name, () => test)

  it("is asked about everything", () => {
    assert.strictEqual(cases.length, new Set(cases.map(({ name }) => name)).size)
    assert.strictEqual(cases.length, LockConformance.cases({ layer: LeaseLock.layerMemory() }).length + 7)
  })
})

describe.concurrent("a lock that is wrong in one way fails the case that is about it", () => {
  const brokenLock = ({ make }: Broken) =>
    Layer.effect(
      LeaseLock.LeaseLock,
      Effect.map(FaultyLock.Register, (register) => LeaseLock.LeaseLock.of({ ...register.lock, ...make(register) }))
    ).pipe(Layer.provideMerge(FaultyLock.layerRegister()))

  const everything = [...brokenWrites, ...brokenChanges]
  for (const broken of everything) {
    it.effect(broken.wrong, () =>
      Effect.gen(function* () {
        const cases = LockConformance.cases({ ...hasty, layer: brokenLock(broken), remove })
        const found = cases.find(({ name }) => name === broken.case)
        assert.isDefined(found)
        const failure = yield* Effect.flip(found.test)
        assert.strictEqual(failure.case, broken.case)
        assert.include(failure.message, broken.says)
      })
    )
  }

  const leaking = "what is interrupted leaves nothing open"

  it.effect("changes that stay open when nobody listens any more", () =>
    Effect.gen(function* () {
      let open = 0
      const leaky = Layer.effect(
        LeaseLock.LeaseLock,
        Effect.map(LeaseLock.LeaseLock, (lock) =>
          LeaseLock.LeaseLock.of({
            ...lock,
            changes: (after) =>
              Stream.suspend(() => {
                open += 1
                return lock.changes(after)
              })
          })
        )
      ).pipe(Layer.provide(LeaseLock.layerMemory()))
      const cases = LockConformance.cases({ ...hasty, layer: leaky, open: () => Effect.sync(() => open) })
      const found = cases.find(({ name }) => name === leaking)
      assert.isDefined(found)
      const failure = yield* Effect.flip(found.test)
      assert.include(failure.message, "changes should leave no more than 0 open when interrupted, but 30 are open")
    })
  )

  it("there is one for every case", () => {
    const found = new Set([...everything.map((broken) => broken.case), leaking])
    const all = LockConformance.cases({
      layer: LeaseLock.layerMemory(),
      remove: () => Effect.void,
      open: () => Effect.succeed(0)
    })
    assert.deepStrictEqual(
      all.map(({ name }) => name).filter((name) => !found.has(name)),
      []
    )
  })
})

describe("a case", () => {
  it.effect("fails with the layer's own error when the lock cannot be built", () =>
    Effect.gen(function* () {
      const [first] = LockConformance.cases({
        layer: () => Layer.effect(LeaseLock.LeaseLock, Effect.fail("no server"))
      })
      assert.isDefined(first)
      assert.strictEqual(yield* Effect.flip(first.test), "no server")
    })
  )

  it.effect("has a register of its own, with several handles if the layer is made for a name", () =>
    Effect.gen(function* () {
      const names: Array<string> = []
      const cases = LockConformance.cases({
        layer: (register) =>
          Layer.effectDiscard(Effect.sync(() => names.push(register))).pipe(Layer.provideMerge(LeaseLock.layerMemory()))
      })
      for (const { test } of cases.slice(0, 2)) yield* Effect.exit(test)
      assert.strictEqual(new Set(names).size, 2)
      assert.isAbove(names.length, 4)
      for (const name of names) assert.match(name, /^[a-z0-9-]{1,63}$/)
    })
  )
})
