/**
 * examples/leader-follower-store as its README installs it, under its own Role, on SQLite and on PostgreSQL: clients write to
 * random pods while leaders are killed, deleted and rolled.
 */
import * as Clients from "@effect-leader-examples/leader-follower-store/test/Clients.ts"
import * as Pods from "@effect-leader-examples/leader-follower-store/test/Pods.ts"
import * as PostgresServer from "@effect-leader-examples/leader-follower-store/test/PostgresServer.ts"
import * as PostgresStore from "@effect-leader-examples/leader-follower-store/src/PostgresStore.ts"
import * as SqliteStore from "@effect-leader-examples/leader-follower-store/src/SqliteStore.ts"
import { StaleToken, Store, type StoreError } from "@effect-leader-examples/leader-follower-store/src/Store.ts"
import { Cluster } from "@effect-leader/test-cluster/Cluster"
import { assert, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { example, forbidden, holder, podsOf, until } from "../src/OnCluster.ts"
import { allReady, following, name, remove } from "../src/StoreOnCluster.ts"

/** A leader whose name is known and is not this one. */
const leaderAfter = (former: string) => until(holder(name), (now) => now !== "" && now !== former)

const numbers = Array.from({ length: 1000 }, (_, index) => index)

/** 1,000 writes, and meanwhile a leader that is killed, one whose Pod is deleted, and a rollout of all. */
const writesThroughUpheaval = Effect.gen(function* () {
  const { kubectl, signal } = yield* Cluster
  const pods = yield* following
  const clients = Clients.make(() => pods)
  const count = (least: number) =>
    until(
      Effect.sync(() => clients.count()),
      (now) => now >= least
    )
  const upheaval = Effect.gen(function* () {
    yield* count(100)
    const first = yield* holder(name)
    yield* signal(first, "SIGKILL")
    yield* count(400)
    yield* kubectl(["delete", "pod", yield* holder(name), "--wait=false"])
    yield* count(700)
    yield* kubectl(["rollout", "restart", `statefulset/${name}`])
    yield* kubectl(["rollout", "status", `statefulset/${name}`, "--timeout=120s"])
  })
  yield* Effect.all(
    [
      upheaval,
      Effect.forEach(numbers, (number) => Effect.delay(clients.write(number), "40 millis"), {
        concurrency: 8,
        discard: true
      })
    ],
    { concurrency: 2, discard: true }
  )
  const { terms } = yield* clients.check(yield* allReady)
  yield* Console.log(`${clients.count()} writes acknowledged under ${terms} leaders: each is there once, on every pod`)
  assert.isAtLeast(terms, 3)
})

/** The leader stands still while it is asked to write; another leads; then it goes on. */
const lateWrite = (store: Effect.Effect<Layer.Layer<Store, StoreError>>) =>
  Effect.gen(function* () {
    const { signal } = yield* Cluster
    const frozen = yield* until(holder(name), (now) => now !== "")
    const pods = yield* allReady
    const place = pods.find((pod) => pod.name === frozen)
    if (place === undefined) return yield* Effect.die(`${frozen} is not ready`)
    assert.strictEqual((yield* Pods.put(place, "k", "in time", `in-time-${frozen}`)).status, 201)
    const token = (yield* Pods.readLog(place)).at(-1)?.token ?? "0"

    yield* signal(frozen, "SIGSTOP")
    yield* Effect.forkScoped(Effect.exit(Pods.put(place, "k", "late", `late-${frozen}`)))
    const next = yield* leaderAfter(frozen)
    const other = pods.find((pod) => pod.name === next)
    if (other === undefined) return yield* Effect.die(`${next} is not ready`)
    yield* until(Pods.put(other, "k", "next", `next-${frozen}`), ({ status }) => status < 300)
    yield* signal(frozen, "SIGCONT")
    // Time for what it was asked to reach the store, if it could.
    yield* Effect.sleep("3 seconds")

    const log = yield* Pods.readLog(other)
    const written = log.find(({ id }) => id === `next-${frozen}`)
    assert.isAbove(Number(written?.token), Number(token))
    // It was sent on to the new leader, or not at all: under its own token it could not be written any more.
    for (const { id, token: under } of log) if (id === `late-${frozen}`) assert.strictEqual(under, written?.token)
    const refused = yield* Effect.flatMap(Layer.build(yield* store), (context) =>
      Effect.flip(Context.get(context, Store).put(BigInt(token), { id: "stale", key: "k", value: "stale" }))
    )
    assert.instanceOf(refused, StaleToken)
    assert.isUndefined((yield* Pods.readLog(other)).find(({ id }) => id === "stale"))
    assert.deepStrictEqual(yield* forbidden(yield* podsOf(name)), [])
  })

const both = Layer.merge(Cluster.layer(), PostgresServer.layer)

it.layer(both, { excludeTestServices: true, timeout: "15 minutes" })("the leader-follower store", (it) => {
  it.effect(
    "on SQLite: every acknowledged write is there once, in one order, on every pod",
    () =>
      Effect.gen(function* () {
        const { kubectl } = yield* Cluster
        yield* kubectl(["apply", "-k", example(name)])
        yield* kubectl(["rollout", "status", `statefulset/${name}`, "--timeout=90s"])
        yield* writesThroughUpheaval
      }),
    240_000
  )

  it.effect("on SQLite: a frozen leader's late write is refused", () =>
    Effect.gen(function* () {
      const { hostPath } = yield* Cluster
      const file = hostPath("/var/lib/leader-follower-store/store.db")
      yield* lateWrite(Effect.succeed(SqliteStore.layer({ file })))
      yield* remove(name)
    })
  )

  it.effect(
    "on PostgreSQL: every acknowledged write is there once, in one order, on every pod",
    () =>
      Effect.gen(function* () {
        const { kubectl } = yield* Cluster
        const { database } = yield* PostgresServer.PostgresServer
        const url = yield* database
        yield* kubectl([
          "create",
          "secret",
          "generic",
          "leader-follower-store-database",
          `--from-literal=url=${Redacted.value(url)}`
        ])
        yield* kubectl(["apply", "-k", `${example(name)}/postgres`])
        yield* kubectl(["rollout", "status", `statefulset/${name}`, "--timeout=90s"])
        yield* writesThroughUpheaval
      }),
    240_000
  )

  it.effect("on PostgreSQL: a frozen leader's late write is refused", () =>
    Effect.gen(function* () {
      const { kubectl } = yield* Cluster
      const url = Effect.map(
        kubectl(["get", "secret", "leader-follower-store-database", "--output=jsonpath={.data.url}"]),
        (data) => Redacted.make(Buffer.from(data, "base64").toString())
      )
      yield* lateWrite(Effect.map(Effect.orDie(url), (url) => PostgresStore.layer({ url })))
      yield* remove(`${name}/postgres`)
    })
  )
})
