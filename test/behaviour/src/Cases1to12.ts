/**
 * The behaviour cases 1 to 12: what is found in the Lease, and whose it is.
 */
import type { LeaseLock } from "@effect-leader/core"
import { KubernetesClient } from "@effect-leader/kubernetes"
import { assert } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { brisk, now, until } from "./Candidate.ts"
import * as CoordinatedClient from "./CoordinatedClient.ts"
import { unavailable } from "./Faults.ts"
import { heldBy, time } from "./Lease.ts"
import type { Behaviour } from "./Scene.ts"

export const cases1to12: ReadonlyArray<Behaviour> = [
  {
    number: 1,
    says: "no Lease: creates it, leads, transitions 0",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a")
      yield* a.leads
      assert.include(yield* lease.spec, { holderIdentity: "a", leaseDurationSeconds: 60, leaseTransitions: 0 })
    })
  },
  {
    number: 2,
    says: "empty spec: takes it, transitions 1",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create({})
      const a = yield* candidate("a")
      yield* a.leads
      assert.include(yield* lease.spec, { holderIdentity: "a", leaseTransitions: 1 })
    })
  },
  {
    number: 3,
    says: "foreign holder, record duration 3 s, unchanged for 3 s: takes over by the record's duration, not its own",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 3))
      const begunAt = yield* now
      const a = yield* candidate("a")
      yield* a.leads
      assert.isAtLeast(a.startedAt() - begunAt, 3000)
      assert.isBelow(a.startedAt() - begunAt, 50_000)
    })
  },
  {
    number: 4,
    says: "record without holder: takes it, without waiting for its duration",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const { holderIdentity: _nobody, ...rest } = heldBy("nobody", 60)
      yield* lease.create(rest)
      const a = yield* candidate("a")
      yield* a.leads
      assert.include(yield* lease.spec, { holderIdentity: "a" })
    })
  },
  {
    number: 5,
    says: "foreign holder, observed long ago: takes over, without waiting for another lease",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 5))
      const a = yield* candidate("a", {
        ...brisk,
        before: ({ next }) => next("write", unavailable, Infinity)
      })
      yield* a.sees("peer")
      yield* a.isHit("Refused")
      yield* Effect.sleep("500 millis")
      assert.lengthOf(a.starts(), 0)
      const healedAt = yield* now
      yield* a.faults.heal
      yield* a.leads
      assert.isBelow(a.startedAt() - healedAt, 5000)
    })
  },
  {
    number: 6,
    says: "empty holder seen just now: immediate",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 60))
      const a = yield* candidate("a")
      yield* a.sees("peer")
      yield* lease.change({ holderIdentity: "" })
      yield* a.leads
    })
  },
  {
    number: 7,
    says: "live foreign holder: no write, reports it",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 60))
      const before = yield* lease.get
      const a = yield* candidate("a", brisk)
      yield* a.sees("peer")
      yield* Effect.sleep("1 second")
      assert.strictEqual(a.writes(), 0)
      assert.deepStrictEqual(yield* lease.get, before)
      const leadership = yield* a.leadership
      assert.isTrue(leadership._tag === "Standby" && Option.isNone(leadership.trouble))
    })
  },
  {
    number: 8,
    says: "own record: renews, transitions unchanged",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create({ ...heldBy(""), leaseTransitions: 6 })
      const a = yield* candidate("a", brisk)
      yield* a.leads
      const before = yield* lease.spec
      const sent = a.requests()
      yield* until(
        "three renewals",
        Effect.sync(() => a.requests() >= sent + 4)
      )
      const after = yield* lease.spec
      assert.notStrictEqual(after["renewTime"], before["renewTime"])
      assert.deepStrictEqual({ ...after, renewTime: 0 }, { ...before, renewTime: 0 })
      assert.strictEqual(after["leaseTransitions"], 7)
    })
  },
  {
    number: 9,
    says: "coordinated, foreign holder: never acquires by itself",
    differs:
      "there is no coordinated election in this library yet: a live holder is left alone as any other, but a Lease that " +
      "is free is taken whatever its strategy. strategy and preferredHolder are kept for whoever coordinates",
    run: Effect.fnUntraced(function* ({ candidateOn, lease, lockOn }) {
      yield* lease.create(heldBy("peer", 60))
      const { client, sent } = CoordinatedClient.make(yield* KubernetesClient.KubernetesClient)
      const a = yield* candidateOn(yield* lockOn(client), "a", brisk)
      yield* a.sees("peer")
      yield* Effect.sleep("1 second")
      assert.strictEqual(a.writes(), 0)
      yield* lease.change({ holderIdentity: "" })
      yield* a.leads
      assert.include(sent.at(0), { ...CoordinatedClient.fields, holderIdentity: "a" })
    })
  },
  {
    number: 10,
    says: "coordinated, own record: renews",
    differs: "a preferredHolder that names another is kept, and no reason to stop: see case 9",
    run: Effect.fnUntraced(function* ({ candidateOn, lease, lockOn }) {
      yield* lease.create({})
      const { client, sent } = CoordinatedClient.make(yield* KubernetesClient.KubernetesClient)
      const a = yield* candidateOn(yield* lockOn(client), "a", brisk)
      yield* a.leads
      yield* until(
        "three renewals",
        Effect.sync(() => sent.length >= 4)
      )
      for (const spec of sent) assert.include(spec, { ...CoordinatedClient.fields, holderIdentity: "a" })
      assert.lengthOf(a.starts(), 1)
    })
  },
  {
    number: 11,
    says: "record and spec round-trip",
    run: Effect.fnUntraced(function* ({ lease, newLock }) {
      const lock = yield* newLock
      const record: LeaseLock.LeaseRecord = {
        holder: Option.some("a"),
        incarnation: "i-1",
        leaseDuration: Duration.seconds(17),
        acquiredAt: DateTime.makeUnsafe("2026-01-02T03:04:05.006Z"),
        renewedAt: DateTime.makeUnsafe("2026-01-02T03:04:07.008Z"),
        transitions: 42
      }
      yield* lock.write(yield* lock.read, record)
      assert.deepStrictEqual(yield* lease.spec, {
        holderIdentity: "a",
        leaseDurationSeconds: 17,
        acquireTime: "2026-01-02T03:04:05.006000Z",
        renewTime: "2026-01-02T03:04:07.008000Z",
        leaseTransitions: 42
      })
      assert.deepStrictEqual((yield* lock.read).record, Option.some(record))
      yield* lease.change({ holderIdentity: "b", acquireTime: time(0), leaseTransitions: 43 })
      assert.deepStrictEqual(
        (yield* lock.read).record,
        Option.some({ ...record, holder: Option.some("b"), acquiredAt: DateTime.makeUnsafe(0), transitions: 43 })
      )
    })
  },
  {
    number: 12,
    says: "release: holder empty, transition reported",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a")
      yield* a.leads
      const b = yield* candidate("b", { before: ({ next }) => next("write", unavailable, Infinity) })
      yield* b.sees("a")
      yield* a.close
      // As client-go leaves it; the next holder counts the transition.
      assert.include(yield* lease.spec, { holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions: 0 })
      yield* b.seesNobody
    })
  }
]
