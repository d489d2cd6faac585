/**
 * One run of the demo, from the first process to the verdict. Whatever ends it, it has cleaned up when it ends.
 */
import { Clock, Effect, Layer, Option, Schema, SubscriptionRef } from "effect"
import * as Abandonment from "./Abandonment.ts"
import * as Cluster from "./Cluster.ts"
import * as Keys from "./Keys.ts"
import * as LeaseView from "./LeaseView.ts"
import { Replicas } from "./Replicas.ts"
import * as Screen from "./Screen.ts"
import * as Script from "./Script.ts"
import { Stage } from "./Stage.ts"
import * as Summary from "./Summary.ts"
import { Watchdog } from "./Watchdog.ts"

/** Short, so that a takeover after kill -9 can be waited for; a real program takes the defaults. */
const timings = { LEASE_DURATION: "5s", RENEW_DEADLINE: "3s", RETRY_PERIOD: "1s" }

export class Unsuccessful extends Schema.TaggedError<Unsuccessful>()("Unsuccessful", {
  reasons: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.reasons.join("\n      ")
  }
}

export interface Options {
  readonly keep: boolean
  readonly kubeconfig: Option.Option<string>
}

export const play = Effect.fnUntraced(
  function* (options: Options) {
    const { scene } = yield* Stage
    const clocks = yield* readClocks
    const missed = yield* Effect.scoped(act(options)).pipe(
      Effect.as([]),
      Effect.catchTag("Missed", ({ message }) => Effect.succeed([message]))
    )
    const past = yield* SubscriptionRef.get(scene)
    yield* Screen.print([[], ...Summary.lines(past, yield* Screen.width)])
    const reasons = [...missed, ...Summary.failures(past, Script.steps), ...stepped(clocks, yield* readClocks)]
    if (reasons.length > 0) return yield* new Unsuccessful({ reasons })
  },
  (run) => Effect.provide(run, Stage.layer)
)

/** Everything that needs processes; they have ended when it has. */
const act = Effect.fnUntraced(function* (options: Options) {
  const services = Replicas.layer({ count: Script.replicas, timings }).pipe(
    Layer.provideMerge(Cluster.layer(options.kubeconfig)),
    Layer.provideMerge(Watchdog.layer)
  )
  const place = Option.match(options.kubeconfig, {
    onNone: () => "embedded API server",
    onSome: (file) => `cluster of ${file}`
  })
  const shown = yield* Screen.show(place)
  yield* Effect.gen(function* () {
    yield* LeaseView.check
    const { run } = yield* Replicas
    const story = options.keep ? Effect.raceFirst(Effect.andThen(Script.run, handOver), Keys.obey) : Script.run
    yield* Effect.raceAllFirst([story, run, LeaseView.follow])
  }).pipe(Effect.provide(services), Effect.raceFirst(shown), Effect.raceFirst(Abandonment.abandoned))
})

const handOver = Effect.gen(function* () {
  const { tell } = yield* Stage
  yield* tell(
    (yield* Keys.isAvailable) ? { _tag: "HandedOver" } : { _tag: "Noted", text: "stays on until it is ended" }
  )
  return yield* Effect.never
})

const readClocks = Effect.all({ wall: Clock.currentTimeMillis, monotonic: Clock.monotonicTimeNanos })

type Clocks = Effect.Success<typeof readClocks>

/** The replicas' lines are ordered by the wall clock: if somebody set it meanwhile, the order proves nothing. */
const stepped = (from: Clocks, to: Clocks): ReadonlyArray<string> => {
  const elapsed = Number(to.monotonic - from.monotonic) / 1e6
  const step = to.wall - from.wall - elapsed
  // A clock that is merely kept in time runs faster or slower by less than a thousandth.
  return Math.abs(step) < 100 + elapsed / 1000
    ? []
    : [`the machine's clock was set by ${Math.round(step)} ms during the run`]
}
