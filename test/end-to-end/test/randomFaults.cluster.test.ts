/**
 * Faults of all kinds at random on three real processes and a real etcd and kube-apiserver: never two leaders, tokens that
 * grow, and a leader in bounded time whenever the faults end. `SEED` chooses the run, `FAULTS_FOR` how long it takes
 * (`10 minutes`).
 */
import { assert, layer } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { users } from "../src/ApiServer.ts"
import * as Chaos from "../src/chaos/Chaos.ts"
import * as Plan from "../src/chaos/Plan.ts"
import { inMillis } from "../src/History.ts"
import * as RealServer from "../src/RealServer.ts"
import * as Stage from "../src/Stage.ts"
import { longestGap, timelineOf } from "./faults/Timeline.ts"
import { recovery } from "./faults/Scene.ts"
import { now, seconds } from "./processes/Competition.ts"

const timings = { leaseDuration: 4, renewDeadline: 2.5, retryPeriod: 0.5 }
const stage = Stage.layer(timings).pipe(Layer.provideMerge(RealServer.layer))

const settings = Effect.runSync(
  Config.all({
    seed: Config.Int("SEED").pipe(Config.withDefault(Number(process.hrtime.bigint() % 1_000_000_007n))),
    duration: Config.Duration("FAULTS_FOR").pipe(Config.withDefault(Duration.minutes(3)))
  })
)

const { duration, seed } = settings
const replay =
  `SEED=${seed} FAULTS_FOR="${Duration.toSeconds(duration)} seconds" ` +
  `pnpm test:cluster test/end-to-end/test/randomFaults.cluster.test.ts`

const run = Effect.gen(function* () {
  const stage = yield* Stage.Stage
  const chaos = yield* Chaos.make
  const plan = Plan.steps(seed)
  yield* Console.log(`random faults for ${Duration.format(duration)}: ${replay}`)
  yield* stage.untilCalm
  const begunAt = yield* now
  const endsAt = begunAt + seconds(Duration.toSeconds(duration))

  const bounded = <A>(what: string, wait: Effect.Effect<A>) =>
    Effect.timeoutOrElse(wait, {
      duration: recovery(stage) * 1000,
      orElse: () =>
        Effect.flatMap(Effect.timeoutOption(stage.unrest, "5 seconds"), (unrest) =>
          Effect.die(
            new Error(
              `not within ${recovery(stage)} s after the faults had ended: ${what}; ` +
                Option.getOrElse(unrest, () => ["nobody works"]).join(", ")
            )
          )
        )
    })
  const somebodyLeads = Effect.flatMap(now, (instant) => bounded("somebody leads", stage.workerAfter(instant)))
  let steps = 0
  let slowest = 0n

  const playAll = Effect.gen(function* () {
    while ((yield* now) < endsAt) {
      const step = plan.next().value
      yield* chaos.play(step)
      for (const user of users) yield* stage.proxy(user).healAll
      const healedAt = yield* now
      yield* somebodyLeads
      const took = (yield* now) - healedAt
      if (took > slowest) slowest = took
      assert.deepStrictEqual(yield* stage.replicas.violations, [])
      if (step.untilCalm) yield* bounded("all others follow", stage.untilCalm)
      steps++
    }
    yield* bounded("all others follow", stage.untilCalm)
    assert.deepStrictEqual(yield* stage.replicas.violations, [])
  })

  yield* playAll.pipe(
    Effect.tapCause(() =>
      Effect.gen(function* () {
        const timeline = timelineOf(yield* stage.replicas.entries, chaos.carried())
        yield* Effect.logError(`replay with: ${replay}\n${timeline}`)
        yield* Effect.logError(yield* stage.replicas.report((yield* now) - seconds(30)))
      })
    )
  )

  const terms = yield* stage.replicas.terms
  const kinds = Object.entries(Arr.groupBy(chaos.carried(), ({ fault }) => Plan.kindOf(fault)))
    .map(([kind, all]) => `${kind} ${all.length}`)
    .toSorted()
  yield* Console.log(
    [
      `random faults, seed ${seed}: ${steps} steps, ${chaos.carried().length} faults, ${terms.length} terms, 0 violations`,
      `  ${kinds.join(", ")}`,
      `  longest time without a leader, faults included: ${inMillis(longestGap(terms)).toFixed(0)} ms`,
      `  longest time from the end of all faults to a leader at work: ${inMillis(slowest).toFixed(0)} ms`
    ].join("\n")
  )
})

layer(stage, { excludeTestServices: true, timeout: "15 minutes" })("random faults on a real API server", (it) => {
  it.effect(
    "never two at once, tokens that grow, and a leader whenever the faults have ended",
    () => run,
    Duration.toMillis(duration) + 120_000
  )
})
