/**
 * The behaviour cases 25 to 36: what ends a term and what does not, and in which order.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { brisk, type Candidate, now, short, until } from "./Candidate.ts"
import { conflicting, unavailable } from "./Faults.ts"
import { heldBy } from "./Lease.ts"
import type { Behaviour } from "./Scene.ts"

const troubleOf = (a: Candidate) =>
  Effect.map(a.leadership, (it) =>
    it._tag === "Standby" ? Option.map(it.trouble, ({ message }) => message) : Option.none()
  )

const isInTrouble = (a: Candidate, word: string) =>
  until(
    `${a.identity} tells of ${word}`,
    Effect.map(
      troubleOf(a),
      Option.exists((message) => message.includes(word))
    )
  )

export const cases25to36: ReadonlyArray<Behaviour> = [
  {
    number: 25,
    says: "one transient error: keeps leading",
    run: Effect.fnUntraced(function* ({ candidate, told }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* a.faults.next("write", unavailable)
      yield* a.isHit("Refused")
      const before = a.requests()
      yield* until(
        "three renewals",
        Effect.sync(() => a.requests() >= before + 3)
      )
      assert.deepStrictEqual(told(), ["a starts"])
      assert.isTrue(yield* a.election.isLeader)
    })
  },
  {
    number: 26,
    says: "cancel: released, and the next increments transitions",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a")
      yield* a.leads
      yield* a.close
      assert.include(yield* lease.spec, { holderIdentity: "", leaseTransitions: 0 })
      const b = yield* candidate("b")
      yield* b.leads
      assert.include(yield* lease.spec, { holderIdentity: "b", leaseTransitions: 1 })
    })
  },
  {
    number: 27,
    says: "release hits 409: one stop",
    run: Effect.fnUntraced(function* ({ candidate, lease, told }) {
      const a = yield* candidate("a", short)
      yield* a.leads
      yield* a.faults.next("write", conflicting, Infinity)
      yield* a.close
      assert.deepStrictEqual(told(), ["a starts", "a stops"])
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
      assert.include(yield* lease.spec, { holderIdentity: "a" })
    })
  },
  {
    number: 28,
    says: "voluntary release: stops, then competes again",
    run: Effect.fnUntraced(function* ({ candidate, lease, told }) {
      const a = yield* candidate("a", { ...brisk, requestTimeout: "2 seconds" })
      yield* a.leads
      yield* a.election.resign
      yield* a.leads
      assert.deepStrictEqual(told(), ["a starts", "a stops", "a starts"])
      // Who finds a record of its own goes on with its count.
      assert.include(yield* lease.spec, { holderIdentity: "a", leaseTransitions: 1 })
      const [first, second] = a.starts()
      assert.isTrue((second?.token ?? 0n) > (first?.token ?? 0n))
    })
  },
  {
    number: 29,
    says: "restart finds its own identity and its PUT conflicts: does not start",
    differs:
      "an own identity that another process wrote is taken over at once only with `reclaimOwn`, where the platform rules " +
      "out that the old process still runs; else it is waited for like any other holder",
    run: Effect.fnUntraced(function* ({ candidate, candidateOn, lease, newLock, told }) {
      yield* lease.create(heldBy("a", 60), { annotations: { "effect-leader.dev/incarnation": "of-a-former-process" } })
      const lock = yield* newLock
      // Another process is faster by one write.
      const write: typeof lock.write = (expected, next) =>
        Effect.andThen(lease.change({ holderIdentity: "b" }), lock.write(expected, next))
      const a = yield* candidateOn(LeaseLock.LeaseLock.of({ ...lock, write }), "a", { ...brisk, reclaimOwn: true })
      yield* a.sees("b")
      assert.isAtLeast(a.writes(), 1)
      const namesake = yield* candidate("b", brisk)
      yield* namesake.sees("b")
      assert.strictEqual(namesake.writes(), 0)
      assert.deepStrictEqual(told(), [])
      assert.include(yield* lease.spec, { holderIdentity: "b" })
    })
  },
  {
    number: 30,
    says: "record duration shorter than the configured one: the record wins",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 1))
      const begunAt = yield* now
      const a = yield* candidate("a")
      yield* a.leads
      assert.isAtLeast(a.startedAt() - begunAt, 1000)
      assert.include(yield* lease.spec, { holderIdentity: "a", leaseDurationSeconds: 60 })
    })
  },
  {
    number: 31,
    says: "A steps down: strictly A-start, A-stop, B-start",
    run: Effect.fnUntraced(function* ({ candidate, journal, told }) {
      const a = yield* candidate("a", { ...brisk, cleanup: 700 })
      yield* a.leads
      const b = yield* candidate("b", brisk)
      yield* b.sees("a")
      yield* a.election.resign
      yield* b.leads
      assert.deepStrictEqual(told(), ["a starts", "a stops", "b starts"])
      const at = journal.map((entry) => entry.at)
      assert.deepStrictEqual(
        at,
        at.toSorted((x, y) => x - y)
      )
    })
  },
  {
    number: 32,
    says: "reading the lock throws: surfaced",
    run: Effect.fnUntraced(function* ({ candidateOn, newLock }) {
      const lock = yield* newLock
      let isBroken = true
      const read = Effect.suspend(() => (isBroken ? Effect.die(new Error("boom")) : lock.read))
      const a = yield* candidateOn(LeaseLock.LeaseLock.of({ ...lock, read }), "a", brisk)
      yield* isInTrouble(a, "boom")
      isBroken = false
      yield* a.leads
    })
  },
  {
    number: 33,
    says: "holders in order: what the Lease tells is the order in which they worked",
    run: Effect.fnUntraced(function* ({ candidate, journal, newLock }) {
      const lock = yield* newLock
      const holders: Array<string> = []
      yield* Stream.runForEach(lock.changes(yield* lock.read), ({ record }) =>
        Effect.sync(() => {
          const holder = Option.getOrUndefined(Option.flatMap(record, (it) => it.holder))
          if (holder !== undefined && holder !== holders.at(-1)) holders.push(holder)
        })
      ).pipe(Effect.forkScoped)
      const waiting = new Set([
        yield* candidate("a", brisk),
        yield* candidate("b", brisk),
        yield* candidate("c", brisk)
      ])
      for (const term of [1, 2, 3]) {
        yield* until(
          `term ${term}`,
          Effect.sync(() => journal.filter(({ what }) => what === "starts").length === term)
        )
        for (const one of waiting) {
          if (one.starts().length === 0) continue
          yield* until(
            "the holder is told",
            Effect.sync(() => holders.length === term)
          )
          waiting.delete(one)
          yield* one.close
        }
      }
      const worked = journal.filter(({ what }) => what === "starts")
      assert.deepStrictEqual(
        holders,
        worked.map(({ who }) => who)
      )
      assert.deepStrictEqual(holders.toSorted(), ["a", "b", "c"])
      assert.isTrue(worked.every(({ token }, index) => token > (worked[index - 1]?.token ?? 0n)))
    })
  },
  {
    number: 34,
    says: "leader closes: follower leads promptly, long before the lease would run out",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const settings = { retryPeriod: "15 seconds" } as const
      const a = yield* candidate("a", settings)
      yield* a.leads
      const b = yield* candidate("b", settings)
      yield* b.sees("a")
      yield* a.close
      yield* b.leads
      assert.isBelow(b.startedAt() - (a.stops()[0]?.at ?? 0), 50_000)
    })
  },
  {
    number: 35,
    says: "step-down record with 1 s: taken after 1 s at the latest",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 60))
      const a = yield* candidate("a")
      yield* a.sees("peer")
      const steppedAt = yield* now
      yield* lease.change({ leaseDurationSeconds: 1 })
      yield* a.leads
      assert.isAtLeast(a.startedAt() - steppedAt, 1000)
      assert.isBelow(a.startedAt() - steppedAt, 50_000)
    })
  },
  {
    number: 36,
    says: "work fails: stops renewing, surfaced",
    differs:
      "work that fails under `layerWhileLeading` is logged, told to `onFailure`, and resigned at once: others need not wait " +
      "for a lease to run out. Under `whileLeading` the program gets the failure and decides; other work goes on",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      const b = yield* candidate("b", brisk)
      yield* b.sees("a")
      assert.strictEqual(yield* Effect.flip(a.election.whileLeading(Effect.fail("broken"))), "broken")
      assert.isTrue(yield* a.election.isLeader)
      const told: Array<unknown> = []
      const onFailure = (cause: Cause.Cause<string>) => Effect.sync(() => told.push(Cause.squash(cause)))
      const work = Layer.effectDiscard(Effect.fail("broken"))
      yield* LeaderElection.layerWhileLeading(work, { onFailure: (cause) => Effect.asVoid(onFailure(cause)) }).pipe(
        Layer.build,
        Effect.provideContext(a.context)
      )
      yield* b.leads
      assert.deepStrictEqual(told, ["broken"])
      assert.isAtMost(a.stops()[0]?.at ?? Infinity, b.startedAt())
    })
  }
]
