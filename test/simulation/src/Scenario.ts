/**
 * What each seed simulates: how many candidates, with which timings, clocks and work. The faults are the simulation's own
 * choice. All that a seed decides is decided here or there, so that its number alone replays it.
 */
import { LeaderElection } from "@effect-leader/core"
import { Effect } from "effect"

interface Election {
  readonly settings: Omit<LeaderElection.Options, "identity">
  /** How long work may take to stop after a loss: S - D of docs/protocol.md, in milliseconds. */
  readonly stopsWithin: number
}

const elections: ReadonlyArray<Election> = [
  // The defaults, client-go's.
  { settings: {}, stopsWithin: 4700 },
  {
    settings: { leaseDuration: "5 seconds", renewDeadline: "3500 millis", retryPeriod: "500 millis" },
    stopsWithin: 1400
  },
  // Clocks far apart, so that hardly any time is left to stop.
  {
    settings: {
      leaseDuration: "10 seconds",
      renewDeadline: "8 seconds",
      requestTimeout: "3 seconds",
      clockDrift: 0.1
    },
    stopsWithin: 180
  },
  // Work that drains for longer than it is renewed for, and a lock that is not given back.
  { settings: { drainTimeout: "500 millis", releaseOnShutdown: false, clockDrift: 0.05 }, stopsWithin: 3500 },
  // Hardly one retry before the deadline.
  {
    settings: {
      leaseDuration: "6 seconds",
      renewDeadline: "3 seconds",
      retryPeriod: "2 seconds",
      requestTimeout: "2500 millis"
    },
    stopsWithin: 2800
  },
  // A platform that never runs an identity twice.
  { settings: { reclaimOwn: true }, stopsWithin: 4700 }
]

/** Does something guarded now and then, and takes its time to stop. */
const work = (pause: number, effort: number, cleanup: number) =>
  Effect.gen(function* () {
    const term = yield* LeaderElection.Term
    yield* term
      .guard(Effect.sleep(effort))
      .pipe(Effect.delay(pause), Effect.forever, Effect.ensuring(Effect.sleep(cleanup)))
  })

export const of = (seed: number) => {
  const { settings, stopsWithin } = pick(elections, seed)
  const cleanup = pick([0, 0.05, 0.5, 0.95], Math.floor(seed / 6)) * stopsWithin
  return {
    seed,
    settings,
    candidates: 2 + (Math.floor(seed / 24) % 3),
    duration: 60_000,
    work: work(pick([310, 40, 1700], seed), pick([150, 10, 900], Math.floor(seed / 3)), cleanup)
  }
}

const pick = <A>(choices: readonly [A, ...Array<A>] | ReadonlyArray<A>, number: number): A => {
  const chosen = choices[number % choices.length]
  if (chosen === undefined) throw new Error("nothing to choose from")
  return chosen
}
