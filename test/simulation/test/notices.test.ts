/**
 * The simulation finds what is wrong: each of these candidates breaks a rule of the protocol, and a few seeds show it.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import type { Term } from "@effect-leader/core"
import { History, Simulation } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"

type Lock = LeaseLock.LeaseLock["Service"]
type Work = Effect.Effect<unknown, unknown, Term.Term<LeaderElection.LeaderElection>>

const job = Effect.gen(function* () {
  const term = yield* LeaderElection.Term
  yield* term
    .guard(Effect.sleep("50 millis"))
    .pipe(Effect.delay("700 millis"), Effect.forever, Effect.ensuring(Effect.sleep("1 second")))
})

/** The first of the seeds that shows the violation. */
const find = (
  invariant: History.Violation["invariant"],
  options: Partial<Simulation.Options<unknown, unknown, Term.Term<LeaderElection.LeaderElection>>>
) =>
  Effect.gen(function* () {
    const work: Work = job
    for (let seed = 1; seed <= 60; seed += 1) {
      const report = yield* Simulation.run({ work, seed, duration: "2 minutes", ...options })
      if (report.violations.some((it) => it.invariant === invariant)) return report
    }
    return yield* Effect.die("none of 60 seeds shows it")
  })

const invariants = (report: Simulation.Report) => new Set(report.violations.map(({ invariant }) => invariant))

const over = (change: (lock: Lock) => Partial<Lock>) => ({ lock: (lock: Lock): Lock => ({ ...lock, ...change(lock) }) })

describe("the simulation notices", () => {
  it.live("a lock whose writes are unconditional: two leaders", () =>
    Effect.gen(function* () {
      const broken = over((lock) => ({
        write: (_, next) => Effect.flatMap(lock.read, (current) => lock.write(current, next))
      }))
      yield* find("I1", broken)
    })
  )

  it.live("a lock that says yes to a write that did not happen: two leaders", () =>
    Effect.gen(function* () {
      const broken = over((lock) => ({
        write: (expected, next) =>
          Effect.catch(lock.write(expected, next), () =>
            Effect.succeed({ ...expected, record: Option.some(next), fence: expected.fence + 1n })
          )
      }))
      yield* find("I1", broken)
    })
  )

  it.live("a holder that believes in a longer lease than it has written: two leaders", () =>
    Effect.gen(function* () {
      const broken = over((lock) => ({
        write: (expected, next) => lock.write(expected, { ...next, leaseDuration: Duration.seconds(4) })
      }))
      yield* find("I1", broken)
    })
  )

  it.live("clocks that differ by more than clockDrift: two leaders", () =>
    Effect.gen(function* () {
      yield* find("I1", { rates: [0.6, 1.4, 1] })
    })
  )

  it.live("a second process under an identity that is reclaimed: two leaders", () =>
    Effect.gen(function* () {
      yield* find("I1", { settings: { reclaimOwn: true }, kinds: ["Double", "Freeze"] })
    })
  )

  it.live("fences that do not grow", () =>
    Effect.gen(function* () {
      const broken = over((lock) => ({
        write: (expected, next) => Effect.map(lock.write(expected, next), (written) => ({ ...written, fence: 7n }))
      }))
      yield* find("I2", broken)
    })
  )

  it.live("a lock that nobody can take: no leader", () =>
    Effect.gen(function* () {
      const conflict = new LeaseLock.LockError({ lock: "broken", reason: new LeaseLock.Conflict() })
      const report = yield* find(
        "I3",
        over(() => ({ write: () => Effect.fail(conflict) }))
      )
      assert.deepStrictEqual(invariants(report), new Set(["I3"]))
    })
  )

  it.live("work that ignores its interruption: it overruns into the next term, and keeps its process from ending", () =>
    Effect.gen(function* () {
      const stubborn: Work = Effect.andThen(
        LeaderElection.Term,
        Effect.uninterruptible(Effect.forever(Effect.sleep("3 seconds")))
      )
      const report = yield* find("I1", { work: stubborn, kinds: ["Network"] })
      assert.includeMembers([...invariants(report)], ["I1", "I5"])
      assert.isTrue(report.history.some(({ event }) => event._tag === "Overrun"))
    })
  )

  it.live("work whose finalizers take longer than what is left of a lost lease", () =>
    Effect.gen(function* () {
      const slow: Work = Effect.andThen(LeaderElection.Term, Effect.ensuring(Effect.never, Effect.sleep("9 seconds")))
      yield* find("I1", { work: slow, kinds: ["Network"] })
    })
  )

  it.live("a release while work runs", () =>
    Effect.gen(function* () {
      let writes = 0
      const broken = over((lock) => ({
        write: (expected, next) => {
          writes += 1
          return lock.write(expected, writes % 5 === 0 ? { ...next, holder: Option.none() } : next)
        }
      }))
      yield* find("I4", broken)
    })
  )
})

describe("a seed", () => {
  it.live("replays the same history, to the last nanosecond", () =>
    Effect.gen(function* () {
      const once = yield* Simulation.run({ work: job, seed: 11, duration: "2 minutes" })
      const again = yield* Simulation.run({ work: job, seed: 11, duration: "2 minutes" })
      const another = yield* Simulation.run({ work: job, seed: 12, duration: "2 minutes" })
      assert.isAbove(once.history.length, 200)
      assert.deepStrictEqual(again.history, once.history)
      assert.strictEqual(History.svg(again.history), History.svg(once.history))
      assert.notDeepEqual(another.history, once.history)
    })
  )
})
