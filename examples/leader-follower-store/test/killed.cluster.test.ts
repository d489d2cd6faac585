/**
 * The program as real processes on an embedded API server, the leader killed and frozen.
 */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Schedule, Schema, Stream } from "effect"
import * as Child from "./Child.ts"
import * as Clients from "./Clients.ts"
import * as Guard from "./Guard.ts"
import * as Pods from "./Pods.ts"

describe("the program", () => {
  layer(Layer.merge(NodeServices.layer, EmbeddedApiServer.layer({ users: "anyone" })), { excludeTestServices: true })(
    (it) => {
      it.effect(
        "keeps every acknowledged write when the leader is killed, and when it is frozen and wakes up too late",
        () =>
          Effect.gen(function* () {
            const guard = yield* Guard.make()
            const shared = yield* Child.environment
            const start = Effect.fnUntraced(function* (name: string) {
              const port = yield* Pods.freePort
              const child = yield* Child.command("../src/main.ts", {
                ...shared,
                POD_NAME: name,
                PORT: `${port}`,
                POD_IP: "127.0.0.1",
                LEASE_DURATION: "3",
                RENEW_DEADLINE: "2",
                RETRY_PERIOD: "0.2"
              })
              guard.take(child.pid)
              yield* Effect.forkScoped(Stream.runDrain(child.all))
              return { name, url: `http://127.0.0.1:${port}`, signal: signalTo(child.pid) }
            })
            let pods = yield* Effect.forEach(["a", "b", "c"], start)
            const clients = Clients.make(() => pods)
            let written = 0
            const write = (count: number) => {
              const numbers = Array.from({ length: count }, () => written++)
              return Effect.forEach(numbers, clients.write, { concurrency: 4, discard: true })
            }

            const killAtWork = Effect.gen(function* () {
              const leader = yield* leaderOf(pods)
              yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => clients.count() >= 50 })
              leader.signal("SIGKILL")
              pods = pods.filter((pod) => pod !== leader)
            })
            yield* Effect.all([killAtWork, write(200)], { concurrency: 2 })

            // Between two writes: in the middle of one it would hold SQLite's lock, until its liveness probe ends it.
            const frozen = yield* leaderOf(pods)
            frozen.signal("SIGSTOP")
            // Every other attempt meets the frozen one, which finds it when it wakes up.
            yield* write(12)
            yield* leaderOf(pods.filter((pod) => pod !== frozen))
            frozen.signal("SIGCONT")
            yield* write(200)

            const { terms } = yield* clients.check(pods)
            assert.isAtLeast(terms, 3)
          }),
        60_000
      )
    }
  )
})

const signalTo = (pid: number) => (signal: NodeJS.Signals) => process.kill(pid, signal)

/** Waits until one of them says that it leads. */
const leaderOf = <P extends Pods.Place>(pods: ReadonlyArray<P>): Effect.Effect<P> =>
  Effect.findFirst(pods, (pod) =>
    Pods.ask(pod, "/", { headers: { accept: "application/json" } }).pipe(
      Effect.map(({ json }) => Schema.is(Leads)(json)),
      Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.succeed(false) }),
      Effect.orElseSucceed(() => false)
    )
  ).pipe(Effect.flatMap(Effect.fromOption), Effect.retry(Schedule.spaced("50 millis")), Effect.orDie)

const Leads = Schema.Struct({ role: Schema.Literal("Leading") })
