/**
 * A program as a user writes it, and the process that the tests start, kill and freeze: it elects on the Lease `LEASE`
 * of the server in `KUBECONFIG`, and while it leads it works every `TICK_EVERY` and keeps a journal of that. `FINALIZER`
 * is how long its work takes to stop, and `GUARDED=false` leaves out the check before each piece of work.
 */
import { LeaderElection } from "@effect-leader/core"
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Journal from "./Journal.ts"

const settings = Config.all({
  identity: Config.String("POD_NAME"),
  lease: Config.String("LEASE"),
  journal: Config.String("JOURNAL"),
  tickEvery: Config.Duration("TICK_EVERY"),
  finalizer: Config.Duration("FINALIZER").pipe(Config.withDefault(Duration.zero)),
  guarded: Config.Boolean("GUARDED").pipe(Config.withDefault(true))
})

const Main = Layer.unwrap(
  Effect.gen(function* () {
    const { finalizer, guarded, identity, lease, journal: path, tickEvery } = yield* settings
    const journal = Journal.write(path, identity)

    const work = Effect.gen(function* () {
      const { guard, token } = yield* LeaderElection.Term
      const note = (event: Journal.WorkEntry["event"]) => Effect.sync(() => journal.work(event, token))
      yield* Effect.acquireRelease(note("Started"), () =>
        note("Stopping").pipe(Effect.andThen(Effect.sleep(finalizer)), Effect.andThen(note("Ended")))
      )
      const tick = guarded ? guard(note("Tick")) : note("Tick")
      yield* tick.pipe(
        Effect.andThen(Effect.sleep(tickEvery)),
        Effect.forever,
        Effect.ignore,
        Effect.forkScoped({ startImmediately: true })
      )
    })

    const status = Effect.gen(function* () {
      const { leadership } = yield* LeaderElection.LeaderElection
      yield* SubscriptionRef.changes(leadership).pipe(
        Stream.runForEach((now) =>
          Effect.sync(() => {
            if (now._tag === "Standby") journal.status(now._tag, Option.getOrUndefined(now.leader)?.identity)
            else if (now._tag !== "Stopped") journal.status(now._tag)
          })
        ),
        Effect.forkScoped
      )
    })

    return Layer.merge(LeaderElection.layerWhileLeading(Layer.effectDiscard(work)), Layer.effectDiscard(status)).pipe(
      Layer.provide(LeaderElection.layerConfig()),
      Layer.provide(KubernetesLock.layerLease({ name: lease })),
      Layer.provide(KubernetesClient.layer)
    )
  })
)

Layer.launch(Main).pipe(NodeRuntime.runMain)
