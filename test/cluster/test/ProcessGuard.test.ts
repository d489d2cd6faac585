import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as ProcessGuard from "../src/ProcessGuard.ts"

const Report = Schema.fromJsonString(Schema.Struct({ folder: Schema.String, pid: Schema.Int }))
const fixture = fileURLToPath(new URL("./fixtures/Guarded.ts", import.meta.url))

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const eventually = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ until: (holds) => holds, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout("10 seconds")
  )

it.live.each(["SIGKILL", "SIGINT"] as const)(
  "a process that ends by %s leaves no process, not even a frozen one, and no file",
  (signal) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const owner = spawn(process.execPath, [fixture], { stdio: ["ignore", "pipe", "inherit"] })
      const [line] = yield* Effect.promise(() => once(owner.stdout, "data"))
      const { folder, pid } = yield* Schema.decodeUnknownEffect(Report)(String(line))
      assert.isTrue(isAlive(pid))
      assert.isTrue(yield* fs.exists(folder))

      owner.kill(signal)

      yield* eventually(Effect.sync(() => !isAlive(pid)))
      yield* eventually(Effect.map(Effect.orDie(fs.exists(folder)), (exists) => !exists))
    }).pipe(Effect.provide(NodeServices.layer))
)

it.live("an orderly end removes the folder and spares the processes that were given back", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { folder, pid } = yield* Effect.scoped(
      Effect.gen(function* () {
        const guard = yield* ProcessGuard.make("effect-leader-guarded-")
        const { pid } = spawn("sleep", ["600"], { stdio: "ignore" })
        if (pid === undefined) return yield* Effect.die("sleep cannot be started")
        guard.take(pid)
        guard.drop(pid)
        return { folder: guard.folder, pid }
      })
    )

    assert.isFalse(yield* fs.exists(folder))
    assert.isTrue(isAlive(pid))
    process.kill(pid, "SIGKILL")
  }).pipe(Effect.provide(NodeServices.layer))
)

it.live("the children of a process that leads a group go with it", () =>
  Effect.gen(function* () {
    const child = yield* Effect.scoped(
      Effect.gen(function* () {
        const guard = yield* ProcessGuard.make("effect-leader-guarded-")
        const leader = spawn("/bin/sh", ["-c", "sleep 600 & echo $!; wait"], {
          stdio: ["ignore", "pipe", "ignore"],
          detached: true
        })
        if (leader.pid === undefined) return yield* Effect.die("the shell cannot be started")
        guard.take(leader.pid)
        const [line] = yield* Effect.promise(() => once(leader.stdout, "data"))
        assert.isTrue(isAlive(Number(line)))
        return Number(line)
      })
    )
    yield* eventually(Effect.sync(() => !isAlive(child)))
  }).pipe(Effect.provide(NodeServices.layer))
)
