/**
 * The watches of a faulty lock: passes on what the lock below tells, later and worse.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LeaseLock } from "@effect-leader/core"
import * as CandidateClock from "../CandidateClock.ts"
import type { NoticeFault } from "../FaultyLock.ts"

export interface Network {
  readonly scope: Scope.Scope
  readonly time: Clock.Clock
  readonly latency: () => Duration.Duration
  readonly lateness: () => Duration.Duration
  readonly hits: (fault: NoticeFault) => boolean
  readonly onTold: (observation: LeaseLock.Observation) => void
}

/** What is on its way to one watch, in the order in which it arrives. */
interface Notice {
  readonly arrivesAt: number
  readonly what: Exit.Exit<LeaseLock.Observation, LeaseLock.LockError> | typeof ended
}

const ended = "Ended"

type Changes = Stream.Stream<LeaseLock.Observation, LeaseLock.LockError>

export const make = (network: Network) => {
  const { time } = network
  const open = new Set<Queue.Queue<Notice>>()

  const over = (target: Changes): Changes =>
    Stream.unwrap(
      Effect.gen(function* () {
        const notices = yield* Queue.unbounded<Notice>()
        let lastArrival = 0
        let former: LeaseLock.Observation | undefined
        const send = (what: Notice["what"], extra: Duration.Duration) => {
          const due = time.currentTimeMillisUnsafe() + Duration.toMillis(network.latency()) + Duration.toMillis(extra)
          // One connection: nothing overtakes what was sent before it.
          lastArrival = Math.max(lastArrival, due)
          Queue.offerUnsafe(notices, { arrivesAt: lastArrival, what })
        }
        const pass = (observation: LeaseLock.Observation) => {
          const stale = former
          former = observation
          if (network.hits("NoticeLost")) return
          const extra = network.hits("NoticeLate") ? network.lateness() : Duration.zero
          send(Exit.succeed(observation), extra)
          if (network.hits("NoticeRepeated")) send(Exit.succeed(observation), extra)
          if (stale !== undefined && network.hits("NoticeStale")) send(Exit.succeed(stale), extra)
          if (network.hits("WatchEnds")) send(ended, extra)
        }
        const pump = yield* Stream.runForEach(target, (it) => Effect.sync(() => pass(it))).pipe(
          Effect.exit,
          Effect.map((exit) => send(Exit.isSuccess(exit) ? ended : Exit.failCause(exit.cause), Duration.zero)),
          Effect.provideService(Clock.Clock, time),
          Effect.forkIn(network.scope, { startImmediately: true })
        )
        open.add(notices)
        yield* Effect.addFinalizer(() => {
          open.delete(notices)
          return Effect.forkIn(Fiber.interrupt(pump), network.scope)
        })
        return Stream.unfold(undefined, () => Effect.flatMap(Queue.take(notices), arrival))
      })
    )

  const arrival = ({ arrivesAt, what }: Notice) =>
    Effect.suspend(() => time.sleep(Duration.millis(Math.max(0, arrivesAt - time.currentTimeMillisUnsafe())))).pipe(
      Effect.andThen(CandidateClock.whenRunning),
      Effect.andThen(
        what === ended
          ? Effect.undefined
          : Effect.map(what, (observation) => {
              network.onTold(observation)
              return [observation, undefined] as const
            })
      )
    )

  const now = (what: Notice["what"]) =>
    Effect.sync(() => {
      for (const notices of open) Queue.offerUnsafe(notices, { arrivesAt: 0, what })
    })
  return {
    over,
    open: () => open.size,
    end: (error: LeaseLock.LockError | undefined) => now(error === undefined ? ended : Exit.fail(error)),
    tell: (observation: LeaseLock.Observation) => now(Exit.succeed(observation))
  }
}
