/**
 * The program itself, as real processes on an embedded API server.
 */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Schedule, Schema, Stream } from "effect"
import * as Child from "./Child.ts"
import * as Clients from "./Clients.ts"
import * as Guard from "./Guard.ts"
import * as Pods from "./Pods.ts"

const environment = Effect.gen(function* () {
  const server = yield* EmbeddedApiServer.EmbeddedApiServer
  const files = yield* FileSystem.FileSystem
  const folder = yield* Effect.orDie(files.makeTempDirectoryScoped({ prefix: "leader-follower-store-" }))
  yield* server.writeKubeconfig(`${folder}/kubeconfig`)
  return {
    KUBECONFIG: `${folder}/kubeconfig`,
    STORE_FILE: `${folder}/store.db`,
    HOST: "127.0.0.1",
    PORT: `${yield* Pods.freePort}`
  }
})

/** What a person reads who has set something wrong. */
const complaint = Effect.fnUntraced(function* (wrong: Readonly<Record<string, string>>) {
  const { code, output } = yield* Child.run("../src/main.ts", { ...(yield* environment), ...wrong })
  assert.strictEqual(code, 1, output)
  const { level, message } = yield* Effect.orDie(Schema.decodeUnknownEffect(LastWords)(output))
  assert.strictEqual(level, "FATAL")
  return message
})

const LastWords = Schema.fromJsonString(Schema.Struct({ level: Schema.String, message: Schema.String }))

describe("the program", () => {
  layer(Layer.merge(NodeServices.layer, EmbeddedApiServer.layer({ users: "anyone" })), { excludeTestServices: true })(
    (it) => {
      it.effect("ends with a sentence and exit code 1 when the renew deadline is not below the lease duration", () =>
        Effect.gen(function* () {
          const message = yield* complaint({ LEASE_DURATION: "10", RENEW_DEADLINE: "10", RETRY_PERIOD: "2" })
          assert.match(message, /^invalid election settings:\n/)
          assert.match(message, /renewDeadline \(10 s\) must be shorter than .* leaseDuration \(10 s\)/)
        })
      )

      const table: ReadonlyArray<readonly [Readonly<Record<string, string>>, string]> = [
        [{ STORE: "mysql" }, 'STORE: "mysql" is not known: write sqlite or postgres'],
        [{ LOCK_KIND: "zookeeper" }, 'LOCK_KIND: "zookeeper" is no kind of lock: write lease, configmap, '],
        [{ HOST: "192.0.2.1" }, "cannot serve: listen EADDRNOTAVAIL: address not available 192.0.2.1:"]
      ]
      it.effect("ends so for other settings that make no sense", () =>
        Effect.forEach(
          table,
          ([wrong, expected]) =>
            Effect.map(complaint(wrong), (message) => assert.strictEqual(message.slice(0, expected.length), expected)),
          { concurrency: 2 }
        )
      )

      it.effect(
        "keeps every acknowledged write when the leader is killed, and when it is frozen and wakes up too late",
        () =>
          Effect.gen(function* () {
            const guard = yield* Guard.make()
            const shared = yield* environment
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
