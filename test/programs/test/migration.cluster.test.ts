/**
 * examples/leader-follower-store while its lock moves from one kind to another.
 */
import * as Clients from "@effect-leader-examples/leader-follower-store/test/Clients.ts"
import * as Pods from "@effect-leader-examples/leader-follower-store/test/Pods.ts"
import * as PostgresServer from "@effect-leader-examples/leader-follower-store/test/PostgresServer.ts"
import { Cluster } from "@effect-leader/test-cluster/Cluster"
import { assert, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { example, forbidden, holder, podsOf, until } from "../src/OnCluster.ts"
import * as SeenTerms from "../src/SeenTerms.ts"
import { allReady, following, name, remove } from "../src/StoreOnCluster.ts"

const both = Layer.merge(Cluster.layer(), PostgresServer.layer)

it.layer(both, { excludeTestServices: true, timeout: "15 minutes" })("the leader-follower store", (it) => {
  it.effect(
    "goes from a ConfigMap over both to a Lease, pod by pod: never two leaders, and nothing is lost",
    () =>
      Effect.gen(function* () {
        const { kubectl } = yield* Cluster
        const { database } = yield* PostgresServer.PostgresServer
        const url = Redacted.value(yield* database)
        yield* kubectl(["create", "secret", "generic", "leader-follower-store-database", `--from-literal=url=${url}`])
        yield* kubectl(["apply", "-k", `${example(name)}/postgres`])
        // As it is installed it elects on a Lease: nobody may do so any more when the first one takes the ConfigMap.
        yield* kubectl(["scale", `statefulset/${name}`, "--replicas=0"])
        yield* until(podsOf(name), ({ length }) => length === 0)
        const elects = Effect.fnUntraced(function* (kind: string) {
          yield* kubectl(["set", "env", `statefulset/${name}`, `LOCK_KIND=${kind}`])
          yield* kubectl(["rollout", "status", `statefulset/${name}`, "--timeout=120s"])
        })
        yield* kubectl(["set", "env", `statefulset/${name}`, "LOCK_KIND=configmap"])
        yield* kubectl(["scale", `statefulset/${name}`, "--replicas=3"])
        yield* kubectl(["rollout", "status", `statefulset/${name}`, "--timeout=120s"])
        const pods = yield* following
        const terms = yield* SeenTerms.follow(() => pods)
        const clients = Clients.make(() => pods)
        const writing = yield* Effect.forkScoped(
          Effect.forEach(
            Array.from({ length: 100_000 }, (_, index) => index),
            (number) => Effect.delay(clients.write(number), "50 millis"),
            { concurrency: 4, discard: true }
          )
        )
        const acknowledges = Effect.suspend(() => {
          const before = clients.count()
          return until(
            Effect.sync(() => clients.count()),
            (now) => now > before + 20
          )
        })
        for (const kind of ["configmapsleases", "leases"]) {
          yield* acknowledges
          yield* elects(kind)
        }
        yield* acknowledges
        yield* Fiber.interrupt(writing)

        const log = yield* Effect.flatMap(allReady, ([pod]) =>
          pod === undefined ? Effect.die("nobody is ready") : Pods.readLog(pod)
        )
        // Each leader wrote under its own token, and none after the next one had.
        const tokens = log.map(({ token }) => Number(token))
        assert.isTrue(tokens.every((token, index) => token >= (tokens[index - 1] ?? 0)))
        assert.deepStrictEqual(
          log.map(({ sequence }) => sequence),
          log.map((_, index) => index + 1)
        )
        assert.isAtLeast(log.length, clients.count())
        const seen = yield* terms.check
        assert.isAtLeast(seen, 3, "each kind was led under")
        assert.deepStrictEqual(yield* forbidden(yield* podsOf(name)), [])
        yield* Console.log(
          `migrated: ${seen} terms were seen, none overlapped, ${new Set(tokens).size} wrote, ` +
            `${clients.count()} writes were acknowledged`
        )
        assert.include(yield* podsOf(name), yield* holder(name))
        yield* remove(`${name}/postgres`)
      }),
    240_000
  )
})
