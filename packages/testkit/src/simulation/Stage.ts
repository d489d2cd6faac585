/**
 * Plays a simulation: starts the candidates, lets the planned faults happen, then heals everything, waits, and closes.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import type { LeaderElection, LeaseLock, Term } from "@effect-leader/core"
import type * as CandidateClock from "../CandidateClock.ts"
import type * as FaultyLock from "../FaultyLock.ts"
import * as History from "../History.ts"
import * as Plan from "./Plan.ts"
import * as Process from "./Process.ts"
import * as Register from "./Register.ts"
import * as Timings from "./Timings.ts"

export interface Play<Self, Id extends string, R> {
  readonly election: LeaderElection.ServiceClass<Self, Id>
  readonly work: Effect.Effect<unknown, unknown, R>
  readonly seed: string
  readonly names: ReadonlyArray<string>
  readonly duration: number
  readonly timings: Timings.Timings
  readonly settings: LeaderElection.Options
  readonly faults: ReadonlyArray<Plan.Planned>
  readonly rates: ReadonlyArray<number> | undefined
  readonly wrapLock: (lock: LeaseLock.LeaseLock["Service"]) => LeaseLock.LeaseLock["Service"]
}

/** One row of the timeline: a machine on which one process after another runs. */
interface Slot {
  readonly name: string
  readonly identity: string
  readonly clock: CandidateClock.Options
  wallSteps: number
  conditions: Partial<FaultyLock.Conditions>
  process: Process.Process | undefined
  starts: number
}

export const play = Effect.fnUntraced(function* <Self, Id extends string, R>(
  given: Play<Self, Id, R>
): Effect.fn.Return<ReadonlyArray<History.Entry>, never, Exclude<R, Term.Term<Self>>> {
  const { faults, timings } = given
  const history = yield* History.make
  const time = yield* Clock.Clock
  const register = yield* Register.make("simulation")
  const slots = yield* Random.withSeed(machines(given), `${given.seed}/machines`)
  let deletedAt = -Infinity
  let isOver = false

  const live = () => slots.filter(({ process }) => isAlive(process))

  /** Nobody starts afresh into a lock that was deleted under a holder: it would take it at once (docs/testing.md). */
  const mustWait = () =>
    Option.isNone(register.current().record) &&
    time.currentTimeMillisUnsafe() < deletedAt + timings.lease / (1 - timings.drift)

  const start = (slot: Slot): Effect.Effect<void, never, Exclude<R, Term.Term<Self>>> =>
    Effect.gen(function* () {
      while (mustWait()) yield* Effect.sleep("100 millis")
      if (isOver || isAlive(slot.process)) return
      slot.starts += 1
      const name = slot.starts === 1 ? slot.name : `${slot.name} (${slot.starts})`
      const scribe = history.process(slot.name, name)
      slot.process = yield* Process.start({
        election: given.election,
        identity: slot.identity,
        seed: `${given.seed}/${name}`,
        clock: { ...slot.clock, offset: (slot.clock.offset ?? 0) + slot.wallSteps },
        options: given.settings,
        timings,
        work: given.work,
        lock: given.wrapLock(scribe.served(register.lock)),
        scribe,
        conditions: slot.conditions,
        onFailure: Effect.asVoid(Effect.forkDetach(drain(slot, 1000)))
      }).pipe(Effect.orDie)
    })

  const startAgain = (slot: Slot, after: Duration.Input | undefined) =>
    after === undefined ? Effect.void : Effect.asVoid(Effect.forkDetach(Effect.delay(start(slot), after)))

  const drain = (
    slot: Slot,
    restartAfter: Duration.Input | undefined
  ): Effect.Effect<void, never, Exclude<R, Term.Term<Self>>> =>
    Effect.suspend(() => {
      const { process } = slot
      return process?.phase() !== "Up" ? Effect.void : Effect.andThen(process.close, startAgain(slot, restartAfter))
    })

  /** Everybody who is about knows who holds the lock. */
  const isHolderKnown = () => {
    const holder = Option.flatMap(register.current().record, (record) => record.holder)
    return live().every(({ process }) => {
      const told = process?.faults.told()
      return (
        told !== undefined &&
        same(
          Option.flatMap(told.record, (record) => record.holder),
          holder
        )
      )
    })
  }

  const stop = (process: Process.Process, how: "Freeze" | "Suspend", duration: Duration.Input) =>
    Effect.gen(function* () {
      if (process.time.condition() !== "Running") return
      yield* how === "Freeze" ? process.time.freeze : process.time.suspend
      yield* process.scribe.note({ _tag: how === "Freeze" ? "Frozen" : "Suspended" })
      yield* Effect.forkDetach(Effect.delay(goOn(process), duration))
    })
  const goOn = (process: Process.Process) =>
    Effect.suspend(() => {
      if (!isAlive(process) || process.time.condition() === "Running") return Effect.void
      return Effect.andThen(process.scribe.note({ _tag: "Thawed" }), process.time.thaw)
    })

  const happen = (fault: Plan.Fault): Effect.Effect<void, never, Exclude<R, Term.Term<Self>>> =>
    Effect.gen(function* () {
      const what = Plan.describe(fault)
      if (fault._tag === "Edit" || fault._tag === "Delete" || fault._tag === "Recreate") {
        if (fault._tag !== "Edit" && !isHolderKnown()) return
        yield* history.fault(what)
        if (fault._tag === "Delete") {
          deletedAt = time.currentTimeMillisUnsafe()
          yield* history.lockDeleted
        }
        yield* fault._tag === "Edit" ? register.edit : fault._tag === "Delete" ? register.remove : register.recreate
        return
      }
      const { candidate } = fault
      for (const slot of slots.filter(
        ({ identity, name }) => candidate === undefined || candidate === (fault._tag === "Network" ? identity : name)
      )) {
        yield* happenTo(slot, fault, what)
      }
    })

  const happenTo = (
    slot: Slot,
    fault: Exclude<Plan.Fault, { readonly _tag: "Edit" | "Delete" | "Recreate" }>,
    what: string
  ) =>
    Effect.gen(function* () {
      if (fault._tag === "Network") slot.conditions = fault.conditions
      if (fault._tag === "SetWall") slot.wallSteps += fault.byMillis
      const { process } = slot
      if (!isAlive(process)) return
      if (what !== "") yield* process.scribe.note({ _tag: "Fault", what })
      switch (fault._tag) {
        case "Network":
          return yield* process.faults.set(fault.conditions)
        case "WatchEnds":
          return yield* process.faults.endWatches()
        case "NoticeRepeated": {
          const told = process.faults.told()
          return told === undefined ? undefined : yield* process.faults.notify(told)
        }
        case "SetWall":
          return yield* process.time.setWall(fault.byMillis)
        case "Freeze":
        case "Suspend":
          return yield* stop(process, fault._tag, fault.for)
        case "Crash":
          yield* process.crash
          return yield* startAgain(slot, fault.restartAfter)
        case "Drain":
          return yield* Effect.asVoid(Effect.forkDetach(drain(slot, fault.restartAfter)))
        case "Resign":
          return yield* Effect.asVoid(Effect.forkDetach(process.resign))
        case "Double": {
          const double = { ...slot, name: Plan.doubleOf(slot.name), process: undefined, starts: 0 }
          slots.push(double)
          return yield* Effect.asVoid(Effect.forkDetach(start(double)))
        }
      }
    })

  const heal = Effect.gen(function* () {
    for (const slot of slots) {
      slot.conditions = {}
      const { process } = slot
      if (!isAlive(process)) continue
      yield* process.faults.heal
      yield* goOn(process)
    }
    if (live().length === 0) for (const slot of slots) yield* Effect.forkDetach(start(slot))
    yield* history.faultsEnd(within)
  })
  const within = Timings.leaderWithin(timings, longestWait(faults, timings))

  const script = Effect.gen(function* () {
    yield* Effect.sleep(1)
    for (const slot of slots.slice(0, given.names.length)) yield* start(slot)
    for (const { at, fault } of faults) {
      yield* Effect.sleep(Math.max(0, Duration.toMillis(at) - time.currentTimeMillisUnsafe()))
      yield* happen(fault)
    }
    yield* Effect.sleep(Math.max(0, given.duration - time.currentTimeMillisUnsafe()))
    yield* heal
    yield* Effect.sleep(within + timings.lease)
    isOver = true
    yield* history.closing
    yield* Effect.forEach(live(), (slot) => drain(slot, undefined), { concurrency: "unbounded", discard: true })
  })
  const director = yield* Effect.forkDetach(script, { startImmediately: true })
  const closing = timings.drain + timings.lease + timings.request * 4
  yield* TestClock.adjust(given.duration + within + timings.lease + closing + 10)
  // Work that cannot be interrupted must not keep the simulation.
  director.interruptUnsafe()
  yield* history.end
  return history.entries()
})

const machines = <Self, Id extends string, R>({ names, rates, timings }: Play<Self, Id, R>) =>
  Effect.forEach(names, (name, index) =>
    Effect.gen(function* () {
      const chosen = yield* Random.next
      const edge = yield* Random.next
      const { drift } = timings
      // At the edges of what is allowed, or between.
      const rate = edge < 0.3 ? 1 - drift : edge < 0.6 ? 1 + drift : 1 + drift * (2 * chosen - 1)
      const offset = 1_700_000_000_000 + Math.round(yield* Random.nextBetween(-3_600_000, 3_600_000))
      const clock = { rate: rates?.[index] ?? rate, offset }
      const slot: Slot = { name, identity: name, clock, wallSteps: 0, conditions: {}, process: undefined, starts: 0 }
      return slot
    })
  )

/** How long a candidate may be told to leave the server alone, which holds beyond the last fault. */
const longestWait = (faults: ReadonlyArray<Plan.Planned>, { retry }: Timings.Timings): number =>
  Math.max(
    0,
    ...faults.map(({ fault }) => {
      if (fault._tag !== "Network") return 0
      const { reason } = fault.conditions
      if (reason === undefined) return 0
      if (reason._tag === "Denied" || reason._tag === "Malformed") return retry * 16 * 1.2
      if (reason._tag === "Conflict") return retry
      return reason.retryAfter === undefined ? 0 : Math.min(Duration.toMillis(reason.retryAfter), retry * 16)
    })
  )

const same = (a: Option.Option<string>, b: Option.Option<string>): boolean =>
  Option.getOrElse(a, () => "") === Option.getOrElse(b, () => "")

const isAlive = (process: Process.Process | undefined): process is Process.Process =>
  process !== undefined && process.phase() !== "Closed" && process.phase() !== "Crashed"
