/**
 * A lock seen through a network that fails. It stands before any other lock, such as one in memory or a Kubernetes Lease,
 * and does to requests and notices what networks and servers do: loses them, delays them, answers with errors after the
 * write has happened, stops telling of changes. Faults are data: either conditions, in which chance decides (the `Random`
 * of the context, so that a seed repeats them), or a script that says what happens to the next requests.
 *
 * The network lives in true time: a request that was sent arrives even if its sender stands still or has given up.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { LeaseLock } from "@effect-leader/core"
import * as CandidateClock from "./CandidateClock.ts"
import * as FaultyWatch from "./simulation/FaultyWatch.ts"
import * as Registers from "./simulation/Register.ts"

/**
 * What can happen to a request.
 *
 * @since 0.1.0
 */
export type Fault =
  /** It never arrives, and is never answered. */
  | { readonly _tag: "RequestLost" }
  /** It is carried out so much later, perhaps when nobody waits for it any more. */
  | { readonly _tag: "RequestLate"; readonly by: Duration.Input }
  /** It is carried out, and never answered. */
  | { readonly _tag: "AnswerLost" }
  /** It is carried out at once, and answered so much later. */
  | { readonly _tag: "AnswerLate"; readonly by: Duration.Input }
  /** It is not carried out, and answered with an error. */
  | { readonly _tag: "Refused"; readonly reason?: Reason }
  /** It is carried out, and answered with an error all the same. */
  | { readonly _tag: "AnswerRefused"; readonly reason?: Reason }

/**
 * What can happen to a notice of a change: never told, told late, told twice, told and followed by the one before it, or
 * the last one before the watch ends.
 *
 * @since 0.1.0
 */
export type NoticeFault = "NoticeLost" | "NoticeLate" | "NoticeRepeated" | "NoticeStale" | "WatchEnds"

type Reason = LeaseLock.LockError["reason"]

/**
 * How the network is for a while. Chances are between 0 and 1; those of one request, or of one notice, are tried in the
 * order of the types above, and the first that hits decides.
 *
 * @since 0.1.0
 */
export interface Conditions {
  /** How long a message is under way in one direction: at least, at most. */
  readonly latency: readonly [Duration.Input, Duration.Input]
  /** How much later what is late comes: at least, at most. */
  readonly lateness: readonly [Duration.Input, Duration.Input]
  readonly chances: { readonly [F in Fault["_tag"] | NoticeFault]?: number }
  /** What refused requests are told. */
  readonly reason: Reason
}

/**
 * A millisecond or two in each direction, and no fault.
 *
 * @since 0.1.0
 */
export const calm: Conditions = {
  latency: ["1 milli", "2 millis"],
  lateness: ["1 second", "5 seconds"],
  chances: {},
  reason: new LeaseLock.Unavailable({ detail: "injected" })
}

/**
 * Nothing gets through in either direction.
 *
 * @since 0.1.0
 */
export const cut: Conditions = { ...calm, chances: { RequestLost: 1, NoticeLost: 1 } }

/**
 * One request as it was sent.
 *
 * @since 0.1.0
 */
export interface Request {
  readonly kind: "read" | "write"
  /** True milliseconds. */
  readonly sentAt: number
  readonly fault: Fault["_tag"] | undefined
}

/**
 * The handle on the faults of one lock.
 *
 * @since 0.1.0
 */
export interface Faults {
  /** The network is like this from now on; what is left out is as in `calm`. */
  readonly set: (conditions: Partial<Conditions>) => Effect.Effect<void>
  /** What happens to the next requests of this kind, before any chance; several scripts follow one another. */
  readonly next: (kind: Request["kind"], fault: Fault, times?: number) => Effect.Effect<void>
  /** No faults any more: `calm`, and no script. What was lost stays lost. */
  readonly heal: Effect.Effect<void>
  /** Ends all open watches, in order or with an error. */
  readonly endWatches: (reason?: Reason) => Effect.Effect<void>
  /** Tells every open watch something, true or not. */
  readonly notify: (observation: LeaseLock.Observation) => Effect.Effect<void>
  /** All that were sent, in order. */
  readonly requests: () => ReadonlyArray<Request>
  /** How many requests are waited for, and how many watches are open. Zero when their candidate has closed. */
  readonly open: () => number
  /** What its candidate was told last. */
  readonly told: () => LeaseLock.Observation | undefined
}

/**
 * A lock with faults over another lock. They start in `calm`.
 *
 * **Example** (a renewal whose answer comes too late)
 *
 * ```ts
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 * import { FaultyLock } from "@effect-leader/testkit"
 * import { Effect, Layer } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * export const program = Effect.gen(function* () {
 *   const faults = yield* FaultyLock.FaultyLock
 *   yield* TestClock.adjust("1 second")
 *   yield* faults.next("write", { _tag: "AnswerLate", by: "9 seconds" }, Infinity)
 *   yield* TestClock.adjust("20 seconds")
 * }).pipe(
 *   Effect.provide(LeaderElection.layer().pipe(Layer.provideMerge(FaultyLock.layer), Layer.provide(LeaseLock.layerMemory())))
 * )
 * ```
 *
 * @since 0.1.0
 */
export class FaultyLock extends Context.Service<FaultyLock, Faults>()("@effect-leader/testkit/FaultyLock") {}

/**
 * Puts faults between the election above and the lock below. For several candidates over one lock take `make` for each.
 *
 * @since 0.1.0
 */
export const layer: Layer.Layer<LeaseLock.LeaseLock | FaultyLock, never, LeaseLock.LeaseLock> = Layer.effectContext(
  Effect.gen(function* () {
    const { faults, lock } = yield* make(yield* LeaseLock.LeaseLock)
    return Context.make(LeaseLock.LeaseLock, lock).pipe(Context.add(FaultyLock, faults))
  })
)

/**
 * One candidate's way to a lock, and its faults.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  target: LeaseLock.LeaseLock["Service"]
): Effect.fn.Return<{ readonly lock: LeaseLock.LeaseLock["Service"]; readonly faults: Faults }, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const random = yield* Random.Random
  const time = yield* CandidateClock.trueClock
  const inTrueTime = Effect.provideService(Clock.Clock, time)
  const script: Array<{ readonly kind: Request["kind"]; readonly fault: Fault; left: number }> = []
  const requests: Array<Request> = []
  let conditions = calm
  let waiting = 0
  let told: LeaseLock.Observation | undefined

  const between = ([least, most]: readonly [Duration.Input, Duration.Input]): Duration.Duration => {
    const from = Duration.toMillis(least)
    return Duration.millis(from + random.nextDoubleUnsafe() * Math.max(0, Duration.toMillis(most) - from))
  }
  const hits = (fault: Fault["_tag"] | NoticeFault): boolean => {
    const chance = conditions.chances[fault] ?? 0
    return chance > 0 && random.nextDoubleUnsafe() < chance
  }
  const nextFault = (kind: Request["kind"]): Fault | undefined => {
    const planned = script.find((it) => it.kind === kind)
    if (planned !== undefined) {
      planned.left -= 1
      if (planned.left <= 0) script.splice(script.indexOf(planned), 1)
      return planned.fault
    }
    const { reason } = conditions
    if (hits("RequestLost")) return { _tag: "RequestLost" }
    if (hits("RequestLate")) return { _tag: "RequestLate", by: between(conditions.lateness) }
    if (hits("AnswerLost")) return { _tag: "AnswerLost" }
    if (hits("AnswerLate")) return { _tag: "AnswerLate", by: between(conditions.lateness) }
    if (hits("Refused")) return { _tag: "Refused", reason }
    if (hits("AnswerRefused")) return { _tag: "AnswerRefused", reason }
    return undefined
  }
  const fail = (reason: Reason = calm.reason) => Effect.fail(new LeaseLock.LockError({ lock: target.name, reason }))

  type Carried = Effect.Effect<LeaseLock.Observation, LeaseLock.LockError>

  /** What becomes of a request on its way and at the server: never answered where it does not end. */
  const underWay = (request: Carried, fault: Fault | undefined): Carried => {
    const there = Effect.sleep(between(conditions.latency))
    const back = Effect.sleep(between(conditions.latency))
    const carriedOut = Effect.andThen(there, request)
    const answered = (exit: Carried) => Effect.flatMap(Effect.exit(exit), (it) => Effect.andThen(back, it))
    switch (fault?._tag) {
      case undefined:
        return answered(carriedOut)
      case "RequestLost":
        return Effect.never
      case "RequestLate":
        return answered(Effect.delay(carriedOut, fault.by))
      case "AnswerLost":
        return Effect.andThen(Effect.exit(carriedOut), Effect.never)
      case "AnswerLate":
        return Effect.flatMap(Effect.exit(carriedOut), (it) => Effect.delay(it, fault.by))
      case "Refused":
        return answered(Effect.andThen(there, fail(fault.reason)))
      case "AnswerRefused":
        return answered(Effect.andThen(Effect.exit(carriedOut), fail(fault.reason)))
    }
  }

  const send = (kind: Request["kind"], request: Carried): Carried =>
    Effect.suspend(() => {
      const fault = nextFault(kind)
      requests.push({ kind, sentAt: time.currentTimeMillisUnsafe(), fault: fault?._tag })
      const answer = Deferred.makeUnsafe<LeaseLock.Observation, LeaseLock.LockError>()
      waiting += 1
      return underWay(request, fault).pipe(
        Effect.onExit((exit) => Effect.sync(() => Deferred.doneUnsafe(answer, exit))),
        inTrueTime,
        // Of the network's, not the sender's: who stops waiting stops nothing.
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.andThen(Deferred.await(answer)),
        Effect.exit,
        Effect.tap(() => CandidateClock.whenRunning),
        Effect.flatMap((exit) => {
          if (Exit.isSuccess(exit)) told = newer(told, exit.value)
          return exit
        }),
        Effect.ensuring(Effect.sync(() => (waiting -= 1)))
      )
    })

  const watches = FaultyWatch.make({
    scope,
    time,
    latency: () => between(conditions.latency),
    lateness: () => between(conditions.lateness),
    hits,
    onTold: (observation) => {
      told = newer(told, observation)
    }
  })

  const changes = (after: LeaseLock.Observation): Stream.Stream<LeaseLock.Observation, LeaseLock.LockError> =>
    watches.over(target.changes(after))

  return {
    lock: LeaseLock.LeaseLock.of({
      name: target.name,
      ...(target.durationUnit === undefined ? {} : { durationUnit: target.durationUnit }),
      read: send("read", target.read),
      write: (expected, next) => send("write", target.write(expected, next)),
      changes
    }),
    faults: {
      set: (changed) =>
        Effect.sync(() => {
          conditions = { ...calm, ...changed }
        }),
      next: (kind, fault, times = 1) =>
        Effect.sync(() => {
          script.push({ kind, fault, left: times })
        }),
      heal: Effect.sync(() => {
        conditions = calm
        script.length = 0
      }),
      endWatches: (reason) =>
        watches.end(reason === undefined ? undefined : new LeaseLock.LockError({ lock: target.name, reason })),
      notify: watches.tell,
      requests: () => requests,
      open: () => waiting + watches.open(),
      told: () => told
    }
  }
})

const newer = (a: LeaseLock.Observation | undefined, b: LeaseLock.Observation): LeaseLock.Observation =>
  a === undefined || b.fence >= a.fence ? b : a

/**
 * What third parties do to a lock in memory: edit, delete, make it again, write over it.
 *
 * @since 0.1.0
 */
export class Register extends Context.Service<Register, Registers.Register>()("@effect-leader/testkit/Register") {}

/**
 * A lock in memory like `LeaseLock.layerMemory`, that third parties can interfere with, too.
 *
 * @since 0.1.0
 */
export const layerRegister = (options: { readonly name?: string } = {}): Layer.Layer<LeaseLock.LeaseLock | Register> =>
  Layer.effectContext(
    Effect.map(Registers.make(options.name ?? "memory"), (register) =>
      Context.make(LeaseLock.LeaseLock, register.lock).pipe(Context.add(Register, register))
    )
  )
