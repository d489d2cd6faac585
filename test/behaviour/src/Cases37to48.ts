/**
 * The behaviour cases 37 to 48: what goes wrong between several candidates and the Lease.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { brisk, now, short, until } from "./Candidate.ts"
import { cut, deaf, lost } from "./Faults.ts"
import { heldBy } from "./Lease.ts"
import type { Behaviour } from "./Scene.ts"

export const cases37to48: ReadonlyArray<Behaviour> = [
  {
    number: 37,
    says: "B claims while A is current: A stays",
    run: Effect.fnUntraced(function* ({ candidate, told }) {
      const a = yield* candidate("a", { ...brisk, leaseDuration: "6 seconds", renewDeadline: "5800 millis" })
      yield* a.leads
      const b = yield* candidate("b", short)
      yield* b.sees("a")
      yield* Effect.sleep("7 seconds")
      assert.deepStrictEqual(told(), ["a starts"])
      assert.strictEqual(b.writes(), 0)
    })
  },
  {
    number: 38,
    says: "vacating an expired claim: no write",
    differs:
      "an own claim that ran out and that nobody took is given back all the same: by compare-and-set it can hit no successor, " +
      "and it frees whoever has seen it renewed late. Who has no claim writes nothing when it leaves",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a", { ...short, leaseDuration: "5 seconds", renewDeadline: "4 seconds" })
      yield* a.leads
      const b = yield* candidate("b", brisk)
      yield* b.sees("a")
      yield* b.close
      assert.strictEqual(b.writes(), 0)
      yield* a.faults.set(cut)
      yield* a.stands
      yield* Effect.sleep("1500 millis")
      yield* a.faults.heal
      yield* a.close
      assert.include(yield* lease.spec, { holderIdentity: "" })
      assert.lengthOf(a.starts(), 1)
    })
  },
  {
    number: 39,
    says: "Lease deleted while held: work stops, surfaced",
    run: Effect.fnUntraced(function* ({ candidate, lease, told }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      const ends: Array<string> = []
      yield* Stream.runForEach(SubscriptionRef.changes(a.election.leadership), (it) =>
        Effect.sync(() => {
          if (it._tag === "Draining") ends.push(it.end)
        })
      ).pipe(Effect.forkScoped({ startImmediately: true }))
      yield* lease.remove
      yield* until(
        "it leads again",
        Effect.sync(() => a.starts().length === 2)
      )
      assert.deepStrictEqual(told(), ["a starts", "a stops", "a starts"])
      assert.deepStrictEqual(ends, ["LockDeleted"])
      const [first, second] = a.starts()
      assert.isTrue((second?.token ?? 0n) > (first?.token ?? 0n))
    })
  },
  {
    number: 40,
    says: "null holder with times: takeable",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create({ ...heldBy("", 60), holderIdentity: null })
      const a = yield* candidate("a")
      yield* a.leads
      assert.include(yield* lease.spec, { holderIdentity: "a" })
    })
  },
  {
    number: 41,
    says: "all users gone: released",
    run: Effect.fnUntraced(function* ({ lease, newLock }) {
      const lock = yield* newLock
      const layer = LeaderElection.layer({ identity: "a", ...brisk }).pipe(
        Layer.provide(Layer.succeed(LeaseLock.LeaseLock, lock))
      )
      const shared = yield* Layer.makeMemoMap
      const user = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithMemoMap(layer, shared, scope)
        return { election: Context.get(context, LeaderElection.LeaderElection), gone: Scope.close(scope, Exit.void) }
      })
      const first = yield* user
      const second = yield* user
      assert.strictEqual(first.election, second.election)
      yield* until("it leads", first.election.isLeader)
      yield* first.gone
      assert.isTrue(yield* second.election.isLeader)
      assert.include(yield* lease.spec, { holderIdentity: "a" })
      yield* second.gone
      assert.include(yield* lease.spec, { holderIdentity: "" })
    })
  },
  {
    number: 42,
    says: "far-future renewTime: cannot wedge",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const future = "9999-12-31T23:59:59.999999Z"
      yield* lease.create({ ...heldBy("peer", 1), acquireTime: future, renewTime: future })
      const a = yield* candidate("a", { ...brisk, maxClockSkew: "1 second" })
      yield* a.leads
      assert.include(yield* lease.spec, { holderIdentity: "a" })
    })
  },
  {
    number: 43,
    says: "grant slower than the deadline: not leading",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const slow = { _tag: "AnswerLate", by: "2500 millis" } as const
      const a = yield* candidate("a", { ...short, before: ({ next }) => next("write", slow, Infinity) })
      yield* until(
        "it was granted",
        Effect.map(Effect.option(Effect.exit(lease.spec)), (it) => Option.exists(it, Exit.isSuccess))
      )
      yield* Effect.sleep("5 seconds")
      assert.lengthOf(a.starts(), 0)
      yield* a.faults.heal
      yield* a.leads
    })
  },
  {
    number: 44,
    says: "release after a successor took over: no write",
    differs:
      "a candidate that does not know yet of its successor does send its release; it compares with the own version, and so " +
      "it conflicts and changes nothing. One that knows writes nothing",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const knows = yield* candidate("knows")
      yield* knows.leads
      yield* lease.change(heldBy("peer", 60))
      yield* knows.sees("peer")
      const before = knows.requests()
      yield* knows.close
      assert.deepStrictEqual(knows.kinds(before), [])

      yield* lease.change(heldBy("peer", 1))
      const unknowing = yield* candidate("unknowing")
      yield* unknowing.leads
      yield* unknowing.faults.set(deaf)
      yield* lease.change(heldBy("successor", 60))
      const { metadata } = yield* lease.get
      yield* unknowing.close
      assert.strictEqual((yield* lease.get).metadata.resourceVersion, metadata.resourceVersion)
    })
  },
  {
    number: 45,
    says: "silent or black-holed watch: still takes over on time",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const settings = { ...short, leaseDuration: "6 seconds", renewDeadline: "4 seconds" } as const
      const a = yield* candidate("a", settings)
      yield* a.leads
      const b = yield* candidate("b", { ...settings, before: ({ set }) => set(deaf) })
      yield* b.sees("a")
      yield* Effect.sleep("2 seconds")
      yield* a.faults.set(cut)
      const cutAt = yield* now
      yield* b.leads
      assert.isAtMost(a.stops()[0]?.at ?? Infinity, b.startedAt())
      // A lease from the poll that sees the last renewal; a poll comes at least every three retry periods.
      assert.isBelow(b.startedAt() - cutAt, 20_000)
    })
  },
  {
    number: 46,
    says: "request hung past expiry: work stopped before expiry",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const a = yield* candidate("a", { ...short, leaseDuration: "6 seconds" })
      yield* a.leads
      const b = yield* candidate("b", { ...short, leaseDuration: "6 seconds" })
      yield* b.sees("a")
      const hungFrom = yield* now
      yield* a.faults.next("write", lost, Infinity)
      yield* a.stands
      assert.isBelow((a.stops()[0]?.at ?? Infinity) - hungFrom, 6000)
      yield* b.leads
      assert.isAtMost(a.stops()[0]?.at ?? Infinity, b.startedAt())
    })
  },
  {
    number: 47,
    says: "acquisition aborted: not leading, nothing left held",
    run: Effect.fnUntraced(function* ({ candidateOn, lease, newLock, told }) {
      const lock = yield* newLock
      const gate = yield* Latch.make()
      const write: typeof lock.write = (expected, next) => Effect.andThen(gate.await, lock.write(expected, next))
      const a = yield* candidateOn(LeaseLock.LeaseLock.of({ ...lock, write }), "a")
      yield* until(
        "it tries",
        Effect.sync(() => a.writes() === 1)
      )
      const closing = yield* Effect.forkScoped(a.close, { startImmediately: true })
      yield* gate.open
      yield* Fiber.join(closing)
      assert.deepStrictEqual(told(), [])
      assert.include(yield* lease.spec, { holderIdentity: "" })
    })
  },
  {
    number: 48,
    says: "stale watch event after the acquisition: ignored",
    run: Effect.fnUntraced(function* ({ candidate, lease, newLock, told }) {
      yield* lease.create(heldBy("peer", 60))
      const stale = yield* (yield* newLock).read
      yield* lease.change({ holderIdentity: "" })
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* a.faults.notify(stale)
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(told(), ["a starts"])
      assert.isTrue(yield* a.election.isLeader)
    })
  }
]
