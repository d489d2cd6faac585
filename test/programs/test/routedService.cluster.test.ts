/**
 * examples/leader-routed-service as its README installs it, under its own Role, while a client keeps sending.
 */
import { Cluster } from "@effect-leader/test-cluster/Cluster"
import { assert, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { example, forbidden, holder, podsOf, until } from "../src/OnCluster.ts"
import * as Traffic from "../src/Traffic.ts"

const name = "leader-routed-service"

/** The Service leads to the pod that holds the Lease, and to no other. */
const routed = Effect.gen(function* () {
  const { endpoints } = yield* Cluster
  return { behind: (yield* endpoints(name)).map(({ pod }) => pod), leader: yield* holder(name) }
})

const follows = (holds: (leader: string) => boolean = () => true) =>
  until(routed, ({ behind, leader }) => behind.length === 1 && behind[0] === leader && holds(leader)).pipe(
    Effect.map(({ leader }) => leader)
  )

/** What became of the requests since an earlier look at the log, and of the few before it. */
const during = (traffic: Traffic.Traffic, from: number) => traffic.log().slice(Math.max(0, from - 5))

const report = (what: string, log: ReadonlyArray<Traffic.Sent>) => {
  const again = log.filter(({ tries }) => tries > 1).length
  const lost = log.filter(({ answer }) => Option.isNone(answer)).length
  return Console.log(
    `${what}: ${log.length} requests, ${again} tried again, ${lost} lost, longest gap ${Math.round(Traffic.gap(log))} ms`
  )
}

it.layer(Cluster.layer(), { excludeTestServices: true, timeout: "15 minutes" })("the leader-routed service", (it) => {
  it.effect("is installed: both Pods are ready, one leads, and the Service reaches that one", () =>
    Effect.gen(function* () {
      const { endpoints, kubectl } = yield* Cluster
      yield* kubectl(["apply", "-k", example(name)])
      yield* kubectl(["rollout", "status", `deployment/${name}`, "--timeout=90s"])
      const leader = yield* follows()
      const [endpoint] = yield* endpoints(name)
      assert.isDefined(endpoint)
      const answer = endpoint === undefined ? Option.none() : yield* Traffic.ask(endpoint)
      assert.strictEqual(Option.getOrThrow(answer).body, leader)
      assert.strictEqual((yield* podsOf(name)).length, 2)
    })
  )

  it.effect("the Service follows the leader through a delete, a kill -9 and a rollout, and nobody else answers", () =>
    Effect.gen(function* () {
      const { kubectl, signal } = yield* Cluster
      const first = yield* follows()
      const traffic = yield* Traffic.start(name)
      yield* Effect.sleep("1 second")

      let from = traffic.log().length
      yield* kubectl(["delete", "pod", first, "--wait=false"])
      const second = yield* follows((leader) => leader !== first)
      yield* Effect.sleep("2 seconds")
      yield* report("deleted the leader's Pod", during(traffic, from))

      from = traffic.log().length
      yield* signal(second, "SIGKILL")
      // The killed program's Pod starts again, and may be the one that wins.
      yield* until(
        Effect.sync(() => during(traffic, from)),
        (log) => log.some(({ answer, tries }) => Option.isNone(answer) || tries > 1)
      )
      yield* until(
        Effect.sync(() => traffic.log().slice(-20)),
        (log) => log.length === 20 && log.every(({ tries }) => tries === 1)
      )
      yield* follows()
      yield* report("killed the leader's process", during(traffic, from))

      yield* kubectl(["rollout", "status", `deployment/${name}`, "--timeout=90s"])
      yield* Effect.sleep("2 seconds")
      from = traffic.log().length
      const before = yield* podsOf(name)
      yield* kubectl(["rollout", "restart", `deployment/${name}`])
      yield* kubectl(["rollout", "status", `deployment/${name}`, "--timeout=90s"])
      yield* follows((leader) => !before.includes(leader))
      yield* Effect.sleep("2 seconds")
      const log = yield* traffic.stop
      yield* report("restarted the Deployment", during(traffic, from))

      assert.deepStrictEqual(Traffic.stale(log), [])
      assert.deepStrictEqual(
        log.slice(from).filter(({ answer }) => Option.isNone(answer)),
        [],
        "a request was lost in the rollout although it was tried twice"
      )
      const pods = new Set(log.flatMap(({ answer }) => (Option.isSome(answer) ? [answer.value.body] : [])))
      assert.isAtLeast(pods.size, 3)
      assert.deepStrictEqual(yield* forbidden(yield* podsOf(name)), [])
    })
  )
})
