/**
 * The behaviour cases 13 to 24: releasing under difficulties, renewing, and what health says.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { brisk, type Candidate, short, until } from "./Candidate.ts"
import { answeredLate, conflicting, cut, deaf, lost, unavailable } from "./Faults.ts"
import { heldBy, time } from "./Lease.ts"
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

export const cases13to24: ReadonlyArray<Behaviour> = [
  {
    number: 13,
    says: "release re-reads when it must",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a")
      yield* a.leads
      yield* a.faults.set(deaf)
      const before = a.requests()
      yield* lease.label({ edited: "yes" })
      yield* a.close
      assert.include(a.kinds(before).join(), "write,read,write")
      assert.include(yield* lease.spec, { holderIdentity: "" })
      assert.deepStrictEqual((yield* lease.get).metadata.labels, { edited: "yes" })
    })
  },
  {
    number: 14,
    says: "release conflicts once: retried",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a")
      yield* a.leads
      yield* a.faults.next("write", conflicting)
      const before = a.requests()
      yield* a.close
      assert.include(a.kinds(before).join(), "write,read,write")
      assert.include(yield* lease.spec, { holderIdentity: "" })
    })
  },
  {
    number: 15,
    says: "cancelled during an in-flight PUT: still releases",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* a.faults.next("write", answeredLate)
      yield* a.isHit("AnswerLate")
      yield* a.close
      assert.include(yield* lease.spec, { holderIdentity: "" })
      assert.lengthOf(a.stops(), 1)
    })
  },
  {
    number: 16,
    says: "cancelled during an in-flight GET: still releases",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* a.faults.next("read", answeredLate)
      yield* a.faults.next("write", conflicting)
      yield* a.isHit("AnswerLate")
      yield* a.close
      assert.include(yield* lease.spec, { holderIdentity: "" })
      assert.lengthOf(a.stops(), 1)
    })
  },
  {
    number: 17,
    says: "empty identity: refused",
    run: Effect.fnUntraced(function* ({ candidate }) {
      for (const identity of ["", "  "]) {
        const error = yield* Effect.flip(Effect.andThen(candidate(identity), Effect.die(new Error("was accepted"))))
        assert.strictEqual(error._tag, "InvalidTimings")
        assert.include(error.message, "must not be empty: the lock would look released")
      }
    })
  },
  {
    number: 18,
    says: "renewals after the acquisition need no GET",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      const before = a.requests()
      yield* until(
        "five renewals",
        Effect.sync(() => a.requests() >= before + 5)
      )
      assert.notInclude(a.kinds(before), "read")
    })
  },
  {
    number: 19,
    says: "renewal conflicts: GET, then PUT",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* a.faults.set(deaf)
      const before = a.requests()
      yield* lease.label({ edited: "yes" })
      yield* until(
        "a read",
        Effect.sync(() => a.kinds(before).join().includes("write,read,write"))
      )
      yield* until(
        "a further renewal",
        Effect.sync(() => a.kinds(before).join().includes("write,read,write,write"))
      )
      assert.lengthOf(a.starts(), 1)
      assert.lengthOf(a.stops(), 0)
      assert.deepStrictEqual((yield* lease.get).metadata.labels, { edited: "yes" })
    })
  },
  {
    number: 20,
    says: "health asked during a renewal: no race",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* a.faults.next("write", answeredLate)
      yield* a.isHit("AnswerLate")
      const under = a.requests()
      const asked = Effect.all([a.election.isLeader, Effect.map(a.leadership, (it) => it._tag), a.election.leader])
      const answers = yield* Effect.all(
        Array.from({ length: 100 }, () => asked),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(a.requests(), under)
      for (const [isLeader, leadership, leader] of answers) {
        assert.deepStrictEqual([isLeader, leadership], [true, "Leading"])
        assert.strictEqual(Option.getOrThrow(leader).identity, "a")
      }
    })
  },
  {
    number: 21,
    says: "health: not started, within tolerance or foreign is fine; own and long expired is an error",
    differs:
      "health is what `leadership` says, and nobody leads by an own lease that has long expired: leadership ends at the " +
      "renew deadline, by itself. The error is then the candidate's `trouble`",
    run: Effect.fnUntraced(function* ({ candidate }) {
      const patient = {
        ...brisk,
        leaseDuration: "6 seconds",
        renewDeadline: "4 seconds",
        requestTimeout: "1 second"
      } as const
      const a = yield* candidate("a", { ...patient, before: ({ next }) => next("read", lost) })
      assert.isTrue(Option.isNone(yield* troubleOf(a)))
      yield* isInTrouble(a, "requestTimeout")
      yield* a.leads
      const b = yield* candidate("b", patient)
      yield* b.sees("a")
      assert.isTrue(Option.isNone(yield* troubleOf(b)))
      yield* a.faults.next("write", unavailable)
      yield* a.isHit("Refused")
      assert.strictEqual((yield* a.leadership)._tag, "Leading")
      yield* a.faults.set(cut)
      yield* a.stands
      yield* isInTrouble(a, "requestTimeout")
      yield* b.leads
      assert.isAtMost(a.stops()[0]?.at ?? Infinity, b.startedAt())
    })
  },
  {
    number: 22,
    says: "labels preserved, own overwritten",
    differs:
      "a candidate has no labels of its own, so all are preserved; its own in the metadata is one annotation, the " +
      "incarnation, by which two processes of one identity are told apart",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      const incarnation = "effect-leader.dev/incarnation"
      const metadata = { labels: { app: "reports" }, annotations: { note: "keep", [incarnation]: "somebody-elses" } }
      // An incarnation without a holder would be left a whole lease: somebody else emptied such a lock.
      yield* lease.create(heldBy("peer", 1), metadata)
      const a = yield* candidate("a", brisk)
      yield* a.leads
      yield* until(
        "a renewal",
        Effect.sync(() => a.writes() >= 2)
      )
      const { annotations, labels } = (yield* lease.get).metadata
      assert.deepStrictEqual(labels, metadata.labels)
      assert.strictEqual(annotations?.["note"], "keep")
      assert.match(annotations?.[incarnation] ?? "", /^[0-9a-f]{16}$/)
      assert.include(yield* lease.spec, { holderIdentity: "a", leaseDurationSeconds: 60 })
    })
  },
  {
    number: 23,
    says: "coordinated candidate pinged: renews its candidacy",
    differs:
      "there is no coordinated election in this library yet, so no LeaseCandidate that could be pinged; whatever changes " +
      "in a Lease that another holds, its preferredHolder too, is no reason to write",
    run: Effect.fnUntraced(function* ({ candidate, lease }) {
      yield* lease.create(heldBy("peer", 60))
      const a = yield* candidate("a", brisk)
      yield* a.sees("peer")
      for (const round of [1, 2, 3]) {
        yield* lease.change({ preferredHolder: "a", strategy: "OldestEmulationVersion", renewTime: time(round) })
        yield* Effect.sleep("200 millis")
      }
      assert.strictEqual(a.writes(), 0)
      yield* a.sees("peer")
    })
  },
  {
    number: 24,
    says: "renewal blocks past the deadline: stops, one stop",
    run: Effect.fnUntraced(function* ({ candidate, told }) {
      const a = yield* candidate("a", short)
      yield* a.leads
      yield* a.faults.next("write", lost, Infinity)
      yield* a.stands
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual(told(), ["a starts", "a stops"])
    })
  }
]
