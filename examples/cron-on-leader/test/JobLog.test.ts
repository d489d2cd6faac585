/** What a log of jobs is relied on for: the same rules in memory and in a ConfigMap on an embedded API server. */
import { KubernetesClient } from "@effect-leader/kubernetes"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { JobLog, layerMemory, type Entry, type JobLogError } from "../src/JobLog.ts"
import * as KubernetesJobLog from "../src/KubernetesJobLog.ts"

const entry = (token: bigint, state: Entry["state"], occurrence = "2026-01-01T10:00:00.000Z"): Entry => ({
  state,
  occurrence: DateTime.makeUnsafe(occurrence),
  token,
  writtenAt: DateTime.makeUnsafe("2026-01-01T10:00:05.123Z")
})

/** Why it was refused. */
const reasonOf = (effect: Effect.Effect<unknown, JobLogError>) =>
  Effect.matchEffect(effect, {
    onFailure: ({ reason }) => Effect.succeed(reason),
    onSuccess: () => Effect.die("was not refused")
  })

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "cron-on-leader-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const startServer = (options?: EmbeddedApiServer.Options) =>
  Effect.flatMap(Layer.build(EmbeddedApiServer.layer(options)), (context) =>
    Effect.provide(EmbeddedApiServer.EmbeddedApiServer, context)
  )
type Client = KubernetesClient.KubernetesClient["Service"]
type Server = EmbeddedApiServer.EmbeddedApiServer["Service"]

/** The log as one process uses it. */
const logOn = Effect.fnUntraced(function* (
  server: Server,
  token?: string,
  through: (client: Client) => Client = (client) => client
) {
  const kubeconfig = join(yield* temporaryFolder, "config")
  yield* server.writeKubeconfig(kubeconfig, token)
  const layer = KubernetesJobLog.layer({ name: "cron-on-leader" }).pipe(
    Layer.provide(
      Layer.effect(
        KubernetesClient.KubernetesClient,
        Effect.map(KubernetesClient.KubernetesClient, (client) => through(client))
      )
    ),
    Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig))
  )
  return yield* Effect.provide(JobLog, yield* Layer.build(layer))
})

const inMemory = Effect.map(
  Effect.flatMap(Layer.build(layerMemory), (context) => Effect.provide(JobLog, context)),
  (log) => [log, log]
)
const inConfigMap = Effect.flatMap(startServer(), (server) => Effect.all([logOn(server), logOn(server)]))

describe.each([
  ["in memory", inMemory],
  ["in a ConfigMap", inConfigMap]
] as const)("a log of jobs %s", (_where, logs) => {
  /** As two processes use it. */
  const test = (name: string, body: (a: JobLog["Service"], b: JobLog["Service"]) => Effect.Effect<void, JobLogError>) =>
    it.live(name, () =>
      Effect.gen(function* () {
        const [a, b] = yield* logs
        assert.isDefined(a)
        assert.isDefined(b)
        yield* body(a, b)
      }).pipe(Effect.provide(Logger.layer([])))
    )

  test("is empty at first, and tells the next leader the latest entry of each job", (a, b) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* a.open(5n)).size, 0)
      yield* a.write("hourly", entry(5n, "Started"))
      yield* a.write("daily", entry(5n, "Registered"))
      yield* a.write("hourly", entry(5n, "Succeeded"))
      assert.deepStrictEqual(
        yield* b.open(6n),
        new Map([
          ["hourly", entry(5n, "Succeeded")],
          ["daily", entry(5n, "Registered")]
        ])
      )
    }))

  test("refuses a leader as soon as a newer one has opened it, and says which", (a, b) =>
    Effect.gen(function* () {
      yield* a.open(5n)
      yield* a.write("hourly", entry(5n, "Registered"))
      yield* b.open(6n)
      assert.deepInclude(yield* reasonOf(a.write("hourly", entry(5n, "Started"))), {
        _tag: "Stale",
        token: 5n,
        newest: 6n
      })
      assert.deepInclude(yield* reasonOf(a.open(5n)), { _tag: "Stale", token: 5n, newest: 6n })
      assert.deepStrictEqual((yield* b.open(6n)).get("hourly"), entry(5n, "Registered"))
    }))

  test("can be opened again by the term it belongs to", (a) =>
    Effect.gen(function* () {
      yield* a.open(5n)
      yield* a.open(5n)
      yield* a.write("hourly", entry(5n, "Registered"))
    }))

  test("takes no entry of a term that has not opened it", (a) =>
    Effect.gen(function* () {
      yield* a.open(5n)
      assert.deepInclude(yield* reasonOf(a.write("hourly", entry(6n, "Started"))), { _tag: "Lost" })
    }))

  test("loses nothing when jobs write at once", (a, b) =>
    Effect.gen(function* () {
      yield* a.open(5n)
      const names = Array.from({ length: 8 }, (_, index) => `job-${index}`)
      yield* Effect.forEach(names, (name, index) => (index % 2 === 0 ? a : b).write(name, entry(5n, "Started")), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual([...(yield* a.open(6n)).keys()].toSorted(), names)
    }))
})

describe("the ConfigMap of a log", () => {
  const read = (server: Server) => server.store.get("configmaps", "default", "cron-on-leader")

  it.live("shows each job under its name, and keeps what is not the log's own", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* server.store.put("configmaps", "default", {
        metadata: { name: "cron-on-leader", labels: { app: "x" }, annotations: { note: "y" } }
      })
      const log = yield* logOn(server)
      yield* log.open(7n)
      yield* log.write("hourly", entry(7n, "Succeeded"))
      const { data, metadata } = Option.getOrThrow(yield* read(server))
      assert.deepStrictEqual(data, {
        hourly:
          '{"state":"Succeeded","occurrence":"2026-01-01T10:00:00.000Z","token":"7","writtenAt":"2026-01-01T10:00:05.123Z"}'
      })
      assert.deepStrictEqual(metadata.labels, { app: "x" })
      assert.deepStrictEqual(metadata.annotations, { note: "y", "effect-leader.dev/token": "7" })
    })
  )

  it.live("is not made anew by a leader from which it was deleted", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const log = yield* logOn(server)
      yield* log.open(7n)
      yield* server.store.delete("configmaps", "default", "cron-on-leader")
      assert.deepInclude(yield* reasonOf(log.write("hourly", entry(7n, "Started"))), { _tag: "Lost" })
      assert.isTrue(Option.isNone(yield* read(server)))
    })
  )

  it.live("that somebody wrote into by hand is told with the key that makes no sense", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      yield* server.store.put("configmaps", "default", {
        metadata: { name: "cron-on-leader" },
        data: { hourly: "now" }
      })
      const error = yield* Effect.flip((yield* logOn(server)).open(7n))
      assert.include(error.message, "ConfigMap default/cron-on-leader: it cannot be read")
      assert.include(error.message, `["hourly"]`)
    })
  )

  it.live("is asked for again while the API server does not answer", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const log = yield* logOn(server)
      yield* log.open(7n)
      yield* server.stop
      const writing = yield* Effect.forkChild(log.write("hourly", entry(7n, "Started")))
      yield* Effect.sleep("300 millis")
      assert.isUndefined(writing.pollUnsafe())
      yield* server.start
      yield* Fiber.join(writing)
      assert.deepStrictEqual((yield* log.open(7n)).get("hourly"), entry(7n, "Started"))
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("is not written by a leader that looked at it just before a newer one opened it", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const newer = yield* logOn(server)
      let beforeUpdate: Effect.Effect<unknown, unknown> = Effect.void
      const log = yield* logOn(server, undefined, (client) => ({
        ...client,
        update: (reference, object) =>
          Effect.andThen(
            Effect.suspend(() => Effect.orDie(beforeUpdate)),
            client.update(reference, object)
          )
      }))
      yield* log.open(7n)
      beforeUpdate = newer.open(8n)
      assert.deepInclude(yield* reasonOf(log.write("hourly", entry(7n, "Started"))), { _tag: "Stale", newest: 8n })
      assert.strictEqual((yield* newer.open(8n)).size, 0)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("that may not be written is told at once, with what would allow it", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: { t: { name: "nobody" } }, rbac: {} })
      const error = yield* Effect.flip((yield* logOn(server, "t")).open(7n))
      assert.strictEqual(error.reason._tag, "Unusable")
      assert.include(error.message, "would allow it")
    })
  )
})
