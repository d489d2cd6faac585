import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Daemon from "../src/Daemon.ts"
import * as ProcessGuard from "../src/ProcessGuard.ts"

/** A shell script as a daemon. It is ready when the file `ready` is in its folder. */
const shell = Effect.fnUntraced(function* (script: string) {
  const fs = yield* FileSystem.FileSystem
  const guard = yield* ProcessGuard.make("effect-leader-daemon-")
  const ready = `${guard.folder}/ready`
  const daemon = yield* Daemon.make({
    program: "shell",
    path: "/bin/sh",
    args: ["-c", `cd ${guard.folder}; ${script}`],
    guard,
    isReady: Effect.orDie(fs.exists(ready))
  })
  const log = Effect.map(fs.readFileString(`${guard.folder}/shell.log`), (text) => text.trim().split("\n"))
  return { daemon, log, ready, fs }
})

const server = `
trap 'echo terminated; exit 0' TERM
echo started; : > ready
while :; do sleep 0.05; done
`

it.effect("starting what runs and stopping what is stopped do nothing", () =>
  Effect.gen(function* () {
    const { daemon, log } = yield* shell(server)
    yield* daemon.start
    yield* daemon.start
    yield* daemon.stop
    yield* daemon.stop
    yield* daemon.kill

    assert.deepStrictEqual(yield* log, ["started", "terminated"])
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("it starts again after a stop, a kill and a stop while it was frozen", () =>
  Effect.gen(function* () {
    const { daemon, log, ready, fs } = yield* shell(server)
    const start = Effect.andThen(fs.remove(ready, { force: true }), daemon.start)
    yield* start
    yield* daemon.stop
    yield* start
    yield* daemon.kill
    yield* start
    yield* daemon.freeze
    yield* daemon.stop

    assert.deepStrictEqual(yield* log, ["started", "terminated", "started", "started", "terminated"])
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("a program that ends before it is ready is an error with the end of its log", () =>
  Effect.gen(function* () {
    const { daemon } = yield* shell("echo 'no such flag'; exit 3")

    const error = yield* Effect.flip(daemon.start)

    assert.deepStrictEqual(error.reason, new Daemon.Died({ how: "exit code 3" }))
    assert.include(error.message, "no such flag")
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("a program that does not exist is an error that names it", () =>
  Effect.gen(function* () {
    const guard = yield* ProcessGuard.make("effect-leader-daemon-")
    const isReady = Effect.succeed(false)
    const daemon = yield* Daemon.make({ program: "etcd", path: "/nowhere/etcd", args: [], guard, isReady })

    const error = yield* Effect.flip(daemon.start)

    assert.include(error.message, "/nowhere/etcd")
  }).pipe(Effect.provide(NodeServices.layer))
)
