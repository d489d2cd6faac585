/**
 * The move from an older kind of lock to a newer one, in virtual time: who excludes whom, and what half of a pair does.
 */
import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { makeWorld, pass, tokensGrow, type Candidate, type Kind } from "./MigratingCandidates.ts"
import { record } from "./Registers.ts"

const denied = new LeaseLock.Denied({ detail: "no rule for the secondary" })
const refusing = { _tag: "Refused", reason: denied } as const

describe("candidates of two kinds", () => {
  for (const [first, second] of [
    ["old", "pair"],
    ["pair", "old"],
    ["pair", "new"],
    ["new", "pair"]
  ] satisfies ReadonlyArray<[Kind, Kind]>) {
    it.effect(`while one of the ${first} kind leads, one of the ${second} stands by, and follows it at once`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld
        const a = yield* world.start(first, "a")
        yield* pass("1 second")
        assert.deepStrictEqual(world.working(), ["a"])
        yield* world.start(second, "b")
        yield* pass("5 minutes")
        assert.deepStrictEqual(world.working(), ["a"])
        yield* a.close
        yield* pass("1 second")
        assert.deepStrictEqual(world.working(), ["b"])
        assert.isTrue(tokensGrow(world))
        assert.deepStrictEqual(world.overlaps, [])
      })
    )

    it.effect(`one of the ${second} kind takes over from one of the ${first} that is cut off, after its lease`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld
        const a = yield* world.start(first, "a")
        yield* pass("1 second")
        yield* world.start(second, "b")
        yield* pass("10 seconds")
        yield* a.primary.set({ chances: { RequestLost: 1, NoticeLost: 1 } })
        yield* a.secondary.set({ chances: { RequestLost: 1, NoticeLost: 1 } })
        yield* pass("9 seconds")
        assert.notInclude(world.working(), "b")
        yield* pass("9 seconds")
        assert.deepStrictEqual(world.working(), ["b"])
        assert.deepStrictEqual(world.overlaps, [])
        assert.isTrue(tokensGrow(world))
      })
    )
  }

  it.effect("a whole move, replica by replica, has one leader at a time, and tokens only grow", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      let replicas: ReadonlyArray<Candidate> = []
      let leaderless = 0
      for (const kind of ["old", "pair", "new", "pair", "old"] satisfies ReadonlyArray<Kind>) {
        for (let index = 0; index < 3; index += 1) {
          const fresh = yield* world.start(kind, `${kind}-${world.terms.length}-${index}`)
          yield* pass("3 seconds")
          if (replicas.length === 3) yield* replicas[0]?.close ?? Effect.void
          yield* pass("3 seconds")
          if (world.working().length === 0) leaderless += 1
          replicas = [...replicas.slice(-2), fresh]
        }
      }
      assert.deepStrictEqual(world.overlaps, [])
      assert.isTrue(tokensGrow(world))
      assert.isAtLeast(world.terms.length, 5)
      assert.strictEqual(leaderless, 0)
    })
  )
})

describe("half a pair", () => {
  it.effect("does not lead, and does not keep others out for ever", () =>
    Effect.gen(function* () {
      for (const kind of ["pair", "old", "new"] satisfies ReadonlyArray<Kind>) {
        const world = yield* makeWorld
        const a = yield* world.start("pair", "a")
        yield* a.secondary.next("write", refusing, Infinity)
        yield* pass("10 seconds")
        assert.deepStrictEqual(world.terms, [])
        yield* world.start(kind, "b")
        yield* pass("90 seconds")
        assert.deepStrictEqual(world.working(), ["b"], kind)
        assert.deepStrictEqual(
          world.terms.map(({ identity }) => identity),
          ["b"]
        )
      }
    })
  )

  it.effect("is made whole as soon as the other half can be written", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const a = yield* world.start("pair", "a")
      yield* a.secondary.next("write", { _tag: "Refused" })
      yield* pass("3 seconds")
      assert.deepStrictEqual(world.working(), ["a"])
    })
  )

  it.effect("a renewal that gets only half of it is written again, and leads on", () =>
    Effect.gen(function* () {
      for (const fault of [
        { _tag: "Refused" },
        { _tag: "RequestLost" },
        { _tag: "AnswerLost" },
        { _tag: "AnswerRefused" }
      ] as const) {
        for (const half of ["primary", "secondary"] as const) {
          const world = yield* makeWorld
          const a = yield* world.start("pair", "a")
          yield* world.start("pair", "b")
          yield* pass("1 second")
          const [leader] = world.working()
          if (leader === "a") yield* a[half].next("write", fault)
          yield* pass("60 seconds")
          assert.deepStrictEqual(world.terms.length, 1, `${fault._tag} of the ${half}`)
        }
      }
    })
  )

  it.effect("renewals that get only half of it end the term at its deadline, and another follows", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const a = yield* world.start("pair", "a")
      yield* pass("1 second")
      yield* world.start("pair", "b")
      yield* pass("1 second")
      yield* a.secondary.next("write", refusing, Infinity)
      yield* pass("11 seconds")
      assert.deepStrictEqual(world.working(), [])
      yield* pass("90 seconds")
      assert.deepStrictEqual(world.working(), ["b"])
      assert.deepStrictEqual(world.overlaps, [])
    })
  )

  it.effect("that one lost to a candidate of the newer kind is taken again when that one has gone", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      yield* world.secondary.put(record("peer", 1))
      yield* world.primary.put(record("a", 1, { incarnation: "of another process" }))
      yield* world.start("pair", "a")
      yield* pass("14 seconds")
      assert.deepStrictEqual(world.working(), [])
      yield* world.secondary.put(record("peer", 2))
      yield* pass("14 seconds")
      assert.deepStrictEqual(world.working(), [])
      yield* pass("4 seconds")
      assert.deepStrictEqual(world.working(), ["a"])
    })
  )

  for (const half of ["primary", "secondary"] as const) {
    it.effect(`its leader stops at once when somebody deletes the ${half}, and nobody works for a lease`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld
        yield* world.start("pair", "a")
        yield* pass("1 second")
        yield* world.start("pair", "b")
        yield* world.start(half === "primary" ? "old" : "new", "c")
        yield* pass("5 seconds")
        yield* world[half].remove
        yield* pass("3 seconds")
        assert.deepStrictEqual(world.working(), [])
        yield* pass("11 seconds")
        assert.deepStrictEqual(world.working(), [])
        yield* pass("20 seconds")
        assert.strictEqual(world.working().length, 1)
        assert.deepStrictEqual(world.overlaps, [])
        assert.isTrue(tokensGrow(world))
      })
    )

    it.effect(`its leader stops at once when another takes the ${half}`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld
        yield* world.start("pair", "a")
        yield* pass("1 second")
        assert.deepStrictEqual(world.working(), ["a"])
        yield* world[half].put(record("x", 5))
        // Its work takes half a second to end.
        yield* pass("600 millis")
        assert.deepStrictEqual(world.working(), [])
      })
    )

    it.effect(
      `its leader stops at once when a client-go takes the ${half}, and keeps an annotation it does not know`,
      () =>
        Effect.gen(function* () {
          const world = yield* makeWorld
          yield* world.start("pair", "a")
          yield* pass("1 second")
          const { incarnation = assert.fail("none") } = Option.getOrThrow(world[half].current().record)
          yield* world[half].put(record("x", 5, { incarnation }))
          yield* pass("600 millis")
          assert.deepStrictEqual(world.working(), [])
        })
    )

    it.effect(`its leader stops within a second when somebody empties the ${half}`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld
        yield* world.start("pair", "a")
        yield* pass("1 second")
        yield* world[half].put(record(undefined, 5))
        yield* pass("1100 millis")
        assert.deepStrictEqual(world.terms.length, 1)
        yield* pass("5 seconds")
        assert.deepStrictEqual(world.terms.length, 2)
        assert.deepStrictEqual(world.working(), ["a"])
      })
    )
  }

  it.effect("both deleted: its leader makes them anew as soon as its work has ended", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      yield* world.start("pair", "a")
      yield* pass("1 second")
      yield* world.start("pair", "b")
      yield* pass("1 second")
      yield* world.primary.remove
      yield* world.secondary.remove
      yield* pass("5 seconds")
      assert.deepStrictEqual(
        world.terms.map(({ identity }) => identity),
        ["a", "a"]
      )
      assert.deepStrictEqual(world.overlaps, [])
    })
  )
})

/** Of the kinds that may meet while one moves. */
const meetings: ReadonlyArray<ReadonlyArray<Kind>> = [
  ["old", "pair", "pair"],
  ["old", "old", "pair"],
  ["pair", "pair", "new"],
  ["pair", "new", "new"],
  ["pair", "pair", "pair"]
]

describe("whatever goes wrong on the way", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    it.effect(`no two lead, tokens grow, and somebody leads in the end (seed ${seed})`, () =>
      Effect.gen(function* () {
        const world = yield* makeWorld
        const kinds = meetings[seed % meetings.length] ?? []
        const candidates = yield* Effect.forEach(kinds, (kind, index) => world.start(kind, `${kind}-${index}`))
        yield* pass("1 second")
        for (let round = 0; round < 40; round += 1) {
          for (const candidate of candidates) {
            for (const faults of [candidate.primary, candidate.secondary]) {
              const chance = (yield* Random.nextIntBetween(0, 3)) === 0 ? yield* Random.next : 0
              const kind = yield* Random.choice([
                "RequestLost",
                "RequestLate",
                "AnswerLost",
                "AnswerLate",
                "Refused",
                "AnswerRefused",
                "NoticeLost",
                "NoticeLate",
                "NoticeRepeated",
                "NoticeStale",
                "WatchEnds"
              ] as const)
              yield* faults.set({ latency: ["1 milli", "50 millis"], chances: { [kind]: chance } })
            }
          }
          const what = yield* Random.nextIntBetween(0, 12)
          if (what === 0) yield* world.primary.remove
          if (what === 1) yield* world.secondary.remove
          yield* pass(`${yield* Random.nextIntBetween(1, 20_000)} millis`)
        }
        for (const { primary, secondary } of candidates) {
          yield* primary.heal
          yield* secondary.heal
        }
        yield* pass("2 minutes")
        assert.deepStrictEqual(world.overlaps, [])
        assert.isTrue(
          tokensGrow(world),
          JSON.stringify(world.terms.map(({ identity, token }) => `${identity} ${token}`))
        )
        assert.strictEqual(world.working().length, 1)
      }).pipe(Random.withSeed(seed))
    )
  }
})
