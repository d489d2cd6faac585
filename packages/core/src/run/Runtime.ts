/**
 * Runs one candidate: feeds the decide room with clock, lock and watch, and carries out what it says. One fiber owns the
 * state; everything else sends it events. There is no rule here: a rule belongs to the decide room.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Candidate from "../decide/Candidate.ts"
import * as Holder from "../decide/Holder.ts"
import type { Moment } from "../decide/Instant.ts"
import type { Action, Event, State } from "../decide/State.ts"
import { LeaseLock, LockError, Unavailable } from "../LeaseLock.ts"
import type { Observation } from "../LeaseLock.ts"
import * as Leadership from "../say/Leadership.ts"
import * as Say from "../say/Say.ts"
import type { Options, Settings } from "../Settings.ts"
import * as Terms from "../work/Terms.ts"
import * as TermWork from "../work/TermWork.ts"

export interface Running {
  readonly leadership: SubscriptionRef.SubscriptionRef<Leadership.Leadership>
  readonly leader: Effect.Effect<Option.Option<Leadership.Leader>>
  readonly isLeader: Effect.Effect<boolean>
  readonly terms: Terms.Terms
  /** Asks for it, and returns once the lock is given back. */
  readonly resign: Effect.Effect<void>
  /** Asks for it only: what work of the term itself may do, since the end of the term waits for that. */
  readonly askToResign: Effect.Effect<void>
  readonly isCurrent: (token: bigint) => boolean
}

/** The scope's end is a shutdown: it waits for the work, gives the lock back, and leaves nothing running. */
export const make = Effect.fnUntraced(function* (settings: Settings, options: Options) {
  const lock = yield* LeaseLock
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  // Of its own, since a scope that closes takes no more fibers, and the shutdown needs some.
  const scope = yield* Scope.make()
  const leadership = yield* SubscriptionRef.make<Leadership.Leadership>(Leadership.starting)
  const events = yield* Queue.unbounded<Event>()
  const stopped = yield* Deferred.make<void>()
  const say = Say.make(settings)
  const terms = Terms.make()

  const moment = (): Moment => ({
    monotonic: clock.monotonicTimeNanosUnsafe(),
    wall: BigInt(Math.round(clock.currentTimeMillisUnsafe() * 1e6)),
    chance: random.nextDoubleUnsafe()
  })
  const tell = (event: Event): Effect.Effect<void> => Effect.sync(() => Queue.offerUnsafe(events, event))

  let state: State = Candidate.initial(settings, moment())

  // A fiber for each activity that the state can have under way; a new one replaces the old without waiting for it.
  const activities: Record<"request" | "watch" | "timer", Fiber.Fiber<void> | undefined> = {
    request: undefined,
    watch: undefined,
    timer: undefined
  }
  const replace = (activity: keyof typeof activities, effect: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.suspend(() => {
      activities[activity]?.interruptUnsafe()
      return Effect.map(Effect.forkIn(effect, scope, { startImmediately: true }), (fiber) => {
        activities[activity] = fiber
      })
    })

  const carryOut = (action: Action): Effect.Effect<void> => {
    switch (action._tag) {
      case "Read":
        return replace("request", answerTo(action.id, "ReadAnswered", lock.read))
      case "Write": {
        const write = Effect.suspend(() => lock.write(action.expected, action.next))
        const isRenewal = state.role._tag === "Leading" || state.role._tag === "Yielding"
        return replace("request", answerTo(action.id, "WriteAnswered", isRenewal ? spanned(write) : write))
      }
      case "Abandon":
        return Effect.sync(() => activities.request?.interruptUnsafe())
      case "Watch":
        return replace("watch", watch(action.after))
      case "BeginTerm":
        return Effect.sync(() => {
          terms.begin(TermWork.make(tenancy(action)))
          publish(moment())
          terms.announce()
        })
      case "InterruptWork":
        return Effect.suspend(() => {
          const interrupt = Option.match(terms.current(), { onNone: () => Effect.void, onSome: (it) => it.interrupt })
          // Signals the work here and now; only the waiting is another fiber's.
          return Effect.forkIn(Effect.andThen(interrupt, tell({ _tag: "WorkEnded" })), scope, {
            startImmediately: true
          })
        })
      case "Invalidate":
        return Option.match(terms.current(), { onNone: () => Effect.void, onSome: (it) => it.invalidate })
      case "ReportOverrun":
        return Effect.suspend(() => {
          const running = Option.match(terms.current(), { onNone: () => 0, onSome: (it) => it.running() })
          // It ended in time, and only the word of it is still on its way.
          if (running === 0) return Effect.void
          const token = Option.match(terms.current(), { onNone: () => 0n, onSome: (it) => it.term.token })
          const overrun = { election: settings.name, identity: settings.identity, token, running }
          const hook = Effect.suspend(() => options.onOverrun?.(overrun) ?? Effect.void)
          // Whatever else goes wrong, and even if the layer closes now: it may be what ends the process.
          return Effect.andThen(
            Effect.forkDetach(Effect.ignoreCause(hook), { startImmediately: true }),
            said(say.overrun(state, running))
          )
        })
    }
  }

  const answerTo = (
    id: number,
    tag: "ReadAnswered" | "WriteAnswered",
    request: Effect.Effect<Observation, LockError>
  ): Effect.Effect<void> =>
    Effect.flatMap(Effect.exit(request), (exit) => tell({ _tag: tag, id, result: resultOf(exit) }))

  const resultOf = (exit: Exit.Exit<Observation, LockError>): Result.Result<Observation, LockError> =>
    Exit.match(exit, {
      onSuccess: (observation) => Result.succeed(observation),
      onFailure: (cause) => Result.fail(errorOf(cause))
    })

  /** A defect of a lock is trouble with the lock, never the end of the election. */
  const errorOf = (cause: Cause.Cause<LockError>): LockError =>
    Option.getOrElse(
      Cause.findErrorOption(cause),
      () =>
        new LockError({ lock: settings.name, reason: new Unavailable({ detail: `defect: ${Cause.pretty(cause)}` }) })
    )

  const spanned = (write: Effect.Effect<Observation, LockError>) =>
    Effect.withSpan(write, "LeaderElection.renew", {
      root: true,
      attributes: { election: settings.name, identity: settings.identity, token: tokenOf(state) }
    })

  const watch = (after: Observation): Effect.Effect<void> =>
    Effect.flatMap(
      Effect.exit(
        Stream.runForEach(
          Stream.suspend(() => lock.changes(after)),
          (observation) => tell({ _tag: "Noticed", observation })
        )
      ),
      (exit) => tell({ _tag: "WatchEnded", error: Exit.isFailure(exit) ? errorOf(exit.cause) : undefined })
    )

  const tenancy = (begun: Extract<Action, { readonly _tag: "BeginTerm" }>): TermWork.Tenancy => {
    const isThisTerm = () => tokenOf(state) === String(begun.token)
    return {
      token: begun.token,
      since: begun.since,
      isValid: () => isThisTerm() && Holder.isValid(settings, state.role, moment()),
      onInvalid: () => Queue.offerUnsafe(events, { _tag: "FoundInvalid", token: begun.token }),
      remaining: Effect.sync(() =>
        isThisTerm() && "tenure" in state.role && Holder.isValid(settings, state.role, moment())
          ? Duration.nanos(Holder.remaining(settings, state.role.tenure, moment()))
          : Duration.zero
      ),
      whyEnded: () => `term ${begun.token} of ${settings.name} is over (${describe(isThisTerm() ? state : undefined)})`
    }
  }

  const publish = (now: Moment): void => {
    const term = Option.map(terms.current(), (work) => work.term)
    const value = Leadership.next(settings, leadership.value, state, term, now)
    if (value !== leadership.value) tellLeadership(value)
  }

  /** Without the ref's semaphore: a subscriber that holds it must not keep the work from being interrupted. */
  const tellLeadership = (value: Leadership.Leadership): void => {
    leadership.value = value
    PubSub.publishUnsafe(leadership.pubsub, value)
  }

  const step = (event: Event): Effect.Effect<void> =>
    Effect.suspend(() => {
      const now = moment()
      const before = state
      const [after, actions] = Candidate.step(settings, before, event, now)
      state = after
      publish(now)
      return Effect.andThen(
        Effect.forEach(actions, carryOut, { discard: true }),
        said(say.step({ before, event, after, actions, now }))
      )
    })

  /** A logger that throws is no reason to stop. */
  const said = (words: Effect.Effect<void>): Effect.Effect<void> => Effect.ignoreCause(words)

  /** What happened already, else a `Tick` when one is due. Sleeps whole milliseconds, and again if it woke too early. */
  const nextEvent = Effect.gen(function* () {
    const happened = yield* Queue.poll(events)
    if (Option.isSome(happened)) return happened.value
    const wakeAt = Candidate.wakeAt(settings, state)
    if (wakeAt !== undefined) {
      const wait = wakeAt - clock.monotonicTimeNanosUnsafe()
      if (wait <= 0n) return { _tag: "Tick" } as const
      const longest = Candidate.longestSleep(settings, state) ?? wait
      const sleep = Effect.sleep(Number(((wait < longest ? wait : longest) + 999_999n) / 1_000_000n))
      yield* replace("timer", Effect.andThen(sleep, tell({ _tag: "Tick" })))
    }
    return yield* Queue.take(events)
  })

  const loop = Effect.gen(function* () {
    while (state.role._tag !== "Stopped") yield* step(yield* nextEvent)
  })

  /** However the loop ends, nothing leads after it. Needs no clock and no lock: one of them may be what failed. */
  const halt = (exit: Exit.Exit<void>) =>
    Effect.suspend(() => {
      state = { ...state, role: { _tag: "Stopped" } }
      const work = Option.match(terms.current(), {
        onNone: () => Effect.void,
        onSome: (it) => Effect.andThen(it.invalidate, it.interrupt)
      })
      const failure = Exit.isSuccess(exit)
        ? Option.none()
        : Option.some(new Error(`election ${settings.name} failed`, { cause: Cause.squash(exit.cause) }))
      return Effect.forkDetach(work, { startImmediately: true }).pipe(
        Effect.andThen(
          Effect.sync(() => {
            if (leadership.value._tag !== "Stopped") tellLeadership({ _tag: "Stopped" })
            terms.close(failure)
          })
        ),
        Effect.andThen(said(say.end)),
        Effect.ensuring(Deferred.succeed(stopped, undefined))
      )
    })

  const shutDown = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.andThen(tell({ _tag: "ShutdownAsked" }), Deferred.await(stopped)).pipe(
      // A lock whose requests cannot be interrupted does not hold the program up for ever.
      Effect.andThen(Effect.forkDetach(Scope.close(scope, exit), { startImmediately: true })),
      Effect.flatMap((closing) => Effect.timeoutOption(Fiber.await(closing), Duration.nanos(settings.requestTimeout)))
    )

  yield* said(say.begin)
  yield* Effect.uninterruptible(
    Effect.andThen(
      Effect.addFinalizer(shutDown),
      loop.pipe(
        Effect.tapCause((cause) => said(Effect.logFatal(`election ${settings.name} failed`, cause))),
        Effect.onExit(halt),
        Effect.ignoreCause,
        Effect.forkIn(scope, { startImmediately: true })
      )
    )
  )

  const isLeader = Effect.sync(() => state.role._tag === "Leading" && Holder.isValid(settings, state.role, moment()))
  const running: Running = {
    leadership,
    isLeader,
    leader: Effect.sync(() =>
      state.role._tag === "Leading" || state.role._tag === "Yielding"
        ? Option.some(Leadership.ownOf(settings, state.role.tenure))
        : Leadership.leaderOf(settings, state, moment())
    ),
    terms,
    askToResign: tell({ _tag: "ResignAsked" }),
    isCurrent: (token) => tokenOf(state) === String(token),
    resign: Effect.suspend(() =>
      state.role._tag === "Following" || state.role._tag === "Stopped"
        ? Effect.void
        : Effect.andThen(
            tell({ _tag: "ResignAsked" }),
            SubscriptionRef.changes(leadership).pipe(
              Stream.filter((it) => it._tag === "Standby" || it._tag === "Stopped"),
              Stream.runHead
            )
          )
    )
  }
  return running
})

const tokenOf = (state: State): string => ("tenure" in state.role ? String(state.role.tenure.token) : "")

const describe = (state: State | undefined): string => {
  if (state === undefined || !("tenure" in state.role)) return "another has followed, or none"
  return "end" in state.role ? state.role.end : "past its renew deadline"
}
