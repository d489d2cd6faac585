/**
 * Routes in every term: sends the traffic here when the term begins, watches the object and repairs what others change,
 * and takes the traffic away when the term ends, before the lock is given back.
 *
 * What keeps a leader from routing (no such Service, no right to change it) is nearly always the same for all candidates, so
 * that resigning would only pass the election around, and other work of the leader needs no traffic. It is said, shown by a
 * metric, and tried again. One thing is its own for certain: its pod is no more. Then it gives the lock back.
 */
import { Term, type LeaderElection } from "@effect-leader/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { KubernetesClient } from "../KubernetesClient.ts"
import { KubernetesError } from "../KubernetesError.ts"
import { describe, type KubernetesObject, type ObjectReference } from "../KubernetesObject.ts"
import * as FencedObject from "./FencedObject.ts"
import { isExpired } from "./LockFailure.ts"
import { PodGone } from "./OwnPod.ts"

/** Of one way to route: the object that decides where traffic goes, and what it says. */
export interface Route {
  readonly object: ObjectReference
  readonly keys: FencedObject.MarkKeys
  readonly toSelf: FencedObject.Overlay
  readonly toNobody: FencedObject.Overlay
  readonly fresh?: KubernetesObject
  readonly forbids?: FencedObject.Forbids
  /** What a candidate does before it leads for the first time. */
  readonly atStart: Effect.Effect<void, FencedObject.Failure>
  /** What has to be so before traffic may come here. */
  readonly before: (
    own: FencedObject.Mark,
    admit: FencedObject.Admit
  ) => Effect.Effect<void, FencedObject.Failure | Term.NotLeading>
}

export interface Options<Self> {
  readonly client: KubernetesClient["Service"]
  readonly election: LeaderElection.Election<Self>
  readonly Term: Context.Service<Term.Term<Self>, Term.TermShape>
  readonly route: Route
}

/** Never ends and never fails. */
export const run = Effect.fnUntraced(function* <Self>({ client, election, route, Term }: Options<Self>) {
  const said = speech(election.name, describe(route.object))
  let resignations = 0

  const inTerm = Effect.gen(function* () {
    const term = yield* Term
    const own: FencedObject.Mark = { lock: election.name, token: term.token }
    const number = said.begin()
    const { object: reference, ...routed } = route
    const object = FencedObject.make({ ...routed, client, reference, own })

    const hold = Effect.andThen(route.before(own, term.guard), object.write(route.toSelf, term.guard)).pipe(
      Effect.withSpan("LeaderRouting.route", {
        root: true,
        attributes: { object: describe(reference), election: own.lock, token: String(own.token) }
      })
    )

    /** Returns when the object is no longer as it was left, or the server ended the watch. */
    const untilChanged = (left: KubernetesObject) =>
      client.watch(reference, { resourceVersion: left.metadata.resourceVersion ?? "" }).pipe(
        Stream.filter(({ object: seen, type }) => type !== "BOOKMARK" && seen.metadata.name === reference.name),
        Stream.map(({ object: seen, type }) => (type === "DELETED" ? undefined : seen)),
        Stream.tap((seen) => Effect.sync(() => object.saw(seen))),
        Stream.filter((seen) => seen === undefined || !object.isAsWanted(route.toSelf, seen)),
        Stream.runHead,
        // A watch that ended may have missed something: the next round reads.
        Effect.tap((changed) => (Option.isSome(changed) ? said.changed : Effect.sync(() => object.saw(undefined)))),
        Effect.tapError(() => Effect.sync(() => object.saw(undefined))),
        Effect.catchIf(isExpired, () => Effect.void)
      )

    /** What the watch of the object does not tell. */
    const keepUp = route
      .before(own, term.guard)
      .pipe(Effect.tapError(said.notRouted), Effect.delay("30 seconds"), Effect.forever)
    const round = Effect.flatMap(Effect.tapError(hold, said.notRouted), (left) =>
      Effect.andThen(said.routed, Effect.raceFirst(untilChanged(left), keepUp))
    )
    yield* forever(said, round).pipe(
      Effect.catchTag("PodGone", (error) =>
        said.gone(error).pipe(Effect.andThen(Effect.sleep(restBefore(resignations++))), Effect.andThen(election.resign))
      ),
      Effect.ensuring(takeAway(said, number, term, object.undo(route.toNobody), client.scope))
    )
  })

  yield* onceDone(said, route.atStart)
  return yield* election.whileLeading(inTerm)
})

type Speech = ReturnType<typeof speech>

/** Long rounds follow at once. Between short ones, which errors make, or somebody who keeps changing the object, are pauses. */
const forever = Effect.fnUntraced(function* <E extends FencedObject.Failure | Term.NotLeading>(
  said: Speech,
  round: Effect.Effect<unknown, E>
) {
  let shortOnes = 0
  while (true) {
    const begunAt = yield* Clock.monotonicTimeNanos
    const exit = yield* Effect.exit(round)
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    // The term is over, and its end on the way here.
    if (error instanceof Term.NotLeading) return yield* said.over(error)
    if (error instanceof PodGone) return yield* error
    if (error !== undefined) yield* said.trouble(error)
    if ((yield* Clock.monotonicTimeNanos) - begunAt < longEnough) shortOnes += 1
    else {
      shortOnes = 0
      said.forget()
    }
    // The first repair is made at once.
    if (shortOnes > 1 || error !== undefined) yield* Effect.sleep(yield* pause(shortOnes, error))
  }
})

/** What a candidate does before it leads: as long as it fails, so would what follows. A term finds out what is final. */
const onceDone = Effect.fnUntraced(function* (said: Speech, effect: Effect.Effect<void, FencedObject.Failure>) {
  for (let failures = 1; ; failures++) {
    const exit = yield* Effect.exit(effect)
    if (Exit.isSuccess(exit)) return
    const error = Cause.squash(exit.cause)
    if (error instanceof PodGone) return
    yield* said.trouble(error)
    yield* Effect.sleep(yield* pause(failures, error))
  }
})

/** Where nobody else competes the lock comes back each time, and other work of the leader is begun and ended. */
const restBefore = (resignations: number): Duration.Duration =>
  resignations === 0 ? Duration.zero : Duration.seconds(Math.min(2 ** (resignations - 1), 30))

const longEnough = 30_000_000_000n
const longestPause = Duration.seconds(5)

const pause = (times: number, error: unknown): Effect.Effect<Duration.Duration> =>
  Effect.map(Random.nextBetween(0.8, 1.2), (jitter) => {
    const backoff = Duration.min(Duration.millis(100 * 2 ** Math.min(times - 1, 10)), longestPause)
    return Duration.max(Duration.times(backoff, jitter), askedFor(error))
  })

const askedFor = (error: unknown): Duration.Duration =>
  error instanceof KubernetesError && error.reason._tag === "Refused"
    ? (error.reason.retryAfter ?? Duration.zero)
    : Duration.zero

const longestTakingAway = Duration.seconds(1)

/**
 * While the term is valid its end waits for this, though not for long: a dead API server must not delay the handover.
 * After a loss nothing waits, since the time until somebody else may lead is short and belongs to other work; the client
 * outlives the election.
 */
const takeAway = Effect.fnUntraced(function* (
  said: Speech,
  number: number,
  term: Term.TermShape,
  undo: Effect.Effect<"Nothing" | "Undone", FencedObject.Failure>,
  scope: Scope.Scope
) {
  const isWaitedFor = term.isValid()
  const limit = isWaitedFor ? Duration.min(longestTakingAway, yield* term.remaining) : longestTakingAway
  // Again at once: what breaks most is a kept connection that was dead.
  const undoing = Effect.retry(undo, { times: 3, schedule: Schedule.spaced("50 millis") })
  const fiber = yield* Effect.forkDetach(Effect.interruptible(undoing), { startImmediately: true })
  const waiting = Fiber.await(fiber).pipe(
    Effect.timeoutOption(limit),
    Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe())),
    Effect.flatMap((exit) => said.tookAway(number, exit, limit))
  )
  yield* isWaitedFor ? waiting : Effect.forkIn(waiting, scope, { startImmediately: true })
})

const routedGauge = Metric.gauge("leader_election_routed", {
  description: "Whether the traffic of the object goes to this candidate: 1 or 0"
})

/** Logs and the metric of one route. What stays the same is said once. */
const speech = (election: string, object: string) => {
  const gauge = Metric.withAttributes(routedGauge, { name: election, object })
  let isRouted = false
  let lastTrouble: string | undefined
  let terms = 0
  return {
    /** Which term speaks: what a former one still does says nothing of this one. */
    begin: () => ++terms,
    routed: Effect.suspend(() => {
      if (isRouted) return Effect.void
      isRouted = true
      lastTrouble = undefined
      return Effect.andThen(Metric.update(gauge, 1), Effect.logInfo(`the traffic of ${object} comes here now`))
    }),
    notRouted: () =>
      Effect.suspend(() => {
        isRouted = false
        return Metric.update(gauge, 0)
      }),
    changed: Effect.suspend(() => {
      isRouted = false
      const words = Effect.logWarning(`${object} was changed by somebody else: the leader puts it right`)
      return Effect.andThen(Metric.update(gauge, 0), words)
    }),
    trouble: (error: unknown) =>
      Effect.suspend(() => {
        const message = error instanceof Error ? error.message : String(error)
        if (message === lastTrouble) return Effect.void
        lastTrouble = message
        return Effect.logError(
          isRouted
            ? `what happens to ${object} is not seen: ${message} (tried again)`
            : `cannot route ${object}: ${message} (tried again; the election goes on)`
        )
      }),
    gone: ({ message }: PodGone) =>
      Effect.suspend(() => {
        if (message === lastTrouble) return Effect.void
        lastTrouble = message
        return Effect.logError(`cannot route ${object}: ${message}. It gives the lock back, each time later: end it`)
      }),
    over: (error: Term.NotLeading) => Effect.logInfo(`routes ${object} no more: ${error.message}`),
    forget: () => {
      lastTrouble = undefined
    },
    tookAway: (
      number: number,
      exit: Option.Option<Exit.Exit<"Nothing" | "Undone", FencedObject.Failure>>,
      limit: Duration.Duration
    ) =>
      Effect.suspend(() => {
        if (number !== terms) return Effect.void
        isRouted = false
        const why = Option.match(exit, {
          onNone: () => `nothing came within ${Duration.format(limit)}`,
          onSome: Exit.match({
            onSuccess: () => undefined,
            onFailure: (cause) => String(Cause.squash(cause))
          })
        })
        const isUndone = Option.exists(exit, (it) => Exit.isSuccess(it) && it.value === "Undone")
        const words =
          why !== undefined
            ? Effect.logWarning(`could not take the traffic of ${object} away (${why}): the next leader will`)
            : isUndone
              ? Effect.logInfo(`took the traffic of ${object} away`)
              : Effect.void
        return Effect.andThen(Metric.update(gauge, 0), words)
      })
  }
}
