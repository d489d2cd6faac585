import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Container from "../src/node/Container.ts"
import * as FreePort from "../src/FreePort.ts"
import type { ProbeSpec } from "../src/node/Pod.ts"
import * as ProcessGuard from "../src/ProcessGuard.ts"

const Status = Schema.Struct({ restartCount: Schema.Int, ready: Schema.Boolean })

/** A program that answers on its port after `delay` milliseconds, and fails liveness when it is told to. */
const program = (port: number, delay: number) => `
let isAlive = true
const server = require("node:http").createServer((request, response) => {
  if (request.url === "/die") isAlive = false
  response.statusCode = isAlive ? 200 : 500
  response.end()
})
setTimeout(() => server.listen(${port}, "127.0.0.1"), ${delay})
`

const start = Effect.fnUntraced(function* (delay: number, probes: (port: number) => Record<string, ProbeSpec>) {
  const guard = yield* ProcessGuard.make("effect-leader-container-")
  const port = yield* FreePort.find
  const command = { program: process.execPath, args: ["-e", program(port, delay)], cwd: guard.folder, env: {} }
  const container = Container.make({
    spec: { name: "web", image: "tests/web", ...probes(port) },
    command: Effect.succeed(command),
    restartPolicy: "Always",
    address: "127.0.0.1",
    log: `${guard.folder}/web.log`,
    guard,
    onChange: () => {}
  })
  yield* Effect.addFinalizer(() => container.stop(Duration.zero))
  yield* Effect.forkScoped(container.run)
  const status = Effect.suspend(() => Schema.decodeUnknownEffect(Status)(container.status()))
  const until = (holds: (status: typeof Status.Type) => boolean) =>
    Effect.repeat(status, { until: holds, schedule: Schedule.spaced("50 millis") })
  return { container, port, status, until }
})

it.live("a program that is slow to start has its liveness threshold times the period, not less", () =>
  Effect.gen(function* () {
    const { status, until } = yield* start(2500, (port) => ({
      livenessProbe: { httpGet: { port }, initialDelaySeconds: 0, periodSeconds: 1, failureThreshold: 20 },
      readinessProbe: { httpGet: { port } }
    }))
    yield* until(({ ready }) => ready)
    assert.strictEqual((yield* status).restartCount, 0)
  }).pipe(Effect.provide(NodeServices.layer))
)

it.live("a program whose liveness fails is started again", () =>
  Effect.gen(function* () {
    const { port, until } = yield* start(0, (port) => ({
      livenessProbe: { httpGet: { port }, initialDelaySeconds: 1, periodSeconds: 1, failureThreshold: 2 },
      readinessProbe: { httpGet: { port } }
    }))
    yield* until(({ ready }) => ready)
    yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/die`))
    yield* until(({ ready, restartCount }) => restartCount === 1 && ready)
  }).pipe(Effect.provide(NodeServices.layer))
)

it.live("what a program has started ends with it", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const guard = yield* ProcessGuard.make("effect-leader-container-")
    const file = `${guard.folder}/child`
    const container = Container.make({
      spec: { name: "web", image: "tests/web" },
      command: Effect.succeed({
        program: "/bin/sh",
        args: ["-c", `sleep 600 & echo $! > ${file}`],
        cwd: guard.folder,
        env: {}
      }),
      restartPolicy: "Never",
      address: "127.0.0.1",
      log: `${guard.folder}/web.log`,
      guard,
      onChange: () => {}
    })
    yield* container.run
    const child = Number(yield* fs.readFileString(file))
    const isAlive = Option.liftThrowable(() => process.kill(child, 0))
    yield* Effect.repeat(Effect.sync(isAlive), { until: Option.isNone, schedule: Schedule.spaced("50 millis") })
  }).pipe(Effect.provide(NodeServices.layer))
)
