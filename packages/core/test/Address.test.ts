import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { pass, start } from "./Candidate.ts"
import { held, holderOf } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

const lockIsGiven = Effect.provide(ScriptedLock.layer)

describe("the address that a leader publishes", () => {
  it.effect("is told to the others with the leader, and by the leader itself", () =>
    Effect.gen(function* () {
      const a = yield* start("a", { address: "10.1.2.3:8080" })
      yield* pass("1 second")
      const b = yield* start("b", { address: "10.1.2.4:8080" })
      yield* pass("1 second")
      const leader = { identity: "a", address: "10.1.2.3:8080" }
      assert.deepInclude(Option.getOrUndefined(yield* a.election.leader), leader)
      assert.deepInclude(Option.getOrUndefined(yield* b.election.leader), leader)
    }).pipe(lockIsGiven)
  )

  it.effect("stays through renewals, and goes when the lock is given back", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const address = () => Option.getOrUndefined(script.current().record)?.address
      const a = yield* start("a", { address: "10.1.2.3:8080" })
      yield* pass("10 seconds")
      assert.strictEqual(address(), "10.1.2.3:8080")
      yield* a.close
      yield* pass("1 second")
      assert.isUndefined(holderOf(script))
      assert.isUndefined(address())
    }).pipe(lockIsGiven)
  )

  it.effect("is absent where the leader publishes none", () =>
    Effect.gen(function* () {
      const a = yield* start("a")
      yield* pass("1 second")
      assert.deepStrictEqual(Object.keys(Option.getOrThrow(yield* a.election.leader)), ["identity", "since"])
    }).pipe(lockIsGiven)
  )

  it.effect("a holder that moves to another address is news to its followers", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put({ ...held(), address: "10.1.2.3:8080" })
      const a = yield* start("a")
      yield* pass("1 second")
      yield* script.put({ ...held({ renewedAt: 1000 }), address: "10.1.2.9:8080" })
      yield* pass("1 millis")
      const leadership = yield* a.leadership
      assert.deepStrictEqual(
        leadership._tag === "Standby" ? Option.getOrUndefined(leadership.leader) : leadership._tag,
        { identity: "other", address: "10.1.2.9:8080", since: DateTime.makeUnsafe(0) }
      )
    }).pipe(lockIsGiven)
  )
})
