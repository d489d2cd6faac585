/**
 * The demo as people start it, with its output read by a program: what it says, what it exits with, and that it leaves no
 * process and no file behind, whatever ends it.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, FileSystem, Schedule, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** Starts it with a folder of its own for temporary files. */
const start = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
  const folder = yield* FileSystem.FileSystem.use((files) => files.makeTempDirectoryScoped())
  const handle = yield* ChildProcess.make(process.execPath, [main, ...flags], {
    env: { TMPDIR: folder, FORCE_COLOR: undefined },
    extendEnv: true,
    stdin: "ignore",
    forceKillAfter: "10 seconds"
  })
  const lines: Array<string> = []
  const reading = yield* handle.all.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => Effect.sync(() => lines.push(line))),
    Effect.forkScoped
  )
  return { handle, lines, folder, end: Effect.andThen(Fiber.join(reading), handle.exitCode) }
})

type Demo = Effect.Success<ReturnType<typeof start>>

/** The processes that the demo said to have started. */
const pids = ({ lines }: Demo): ReadonlyArray<number> =>
  lines.flatMap((line) => /starts \(pid (\d+)\)$/.exec(line)?.slice(1).map(Number) ?? [])

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const eventually = (demo: Demo, what: string, condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (holds) => holds }),
    Effect.timeoutOrElse({
      duration: "45 seconds",
      orElse: () => Effect.die(new Error(`not within 45 s: ${what}\n${demo.lines.join("\n")}`))
    })
  )

const leavesNothing = Effect.fnUntraced(function* (demo: Demo) {
  const files = yield* FileSystem.FileSystem
  assert.isAtLeast(pids(demo).length, 3)
  yield* eventually(
    demo,
    "all replicas are gone",
    Effect.sync(() => !pids(demo).some(isAlive))
  )
  yield* eventually(
    demo,
    "the folder is empty",
    Effect.map(Effect.orDie(files.readDirectory(demo.folder)), (names) => names.length === 0)
  )
})

const leads = (demo: Demo) =>
  eventually(
    demo,
    "a replica leads",
    Effect.sync(() => demo.lines.some((line) => line.includes("leads with token")))
  )

const killed = (handle: ChildProcessHandle) => Effect.ignore(handle.kill({ killSignal: "SIGKILL" }))

describe("the demo", () => {
  it.live(
    "ends leaders in three ways, measures what follows, and exits with 0 in under 45 seconds",
    () =>
      Effect.gen(function* () {
        const demo = yield* start()
        const [took, code] = yield* Effect.timed(demo.end)
        assert.strictEqual(code, 0, demo.lines.join("\n"))
        assert.isBelow(Duration.toSeconds(took), 45)

        const text = demo.lines.join("\n")
        assert.match(text, /^kill -9 of hello-\d+ +\d\S* m?s +-?\d\S* m?s +\d\S* m?s +0 of \d+$/m)
        assert.match(text, /^SIGTERM of hello-\d+ +\d\S* m?s +- +\d\S* m?s +0 of \d+$/m)
        assert.match(text, /^SIGSTOP of hello-\d+ +\d\S* m?s +-?\d\S* m?s +\d\S* m?s +0 of \d+$/m)
        assert.match(text, /^Ticks outside leadership: 0 of \d+ in \d terms\.$/m)
        assert.notInclude(text, "\u001b")
        yield* leavesNothing(demo)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    90_000
  )

  it.live(
    "leaves nothing behind when it is terminated, not even a frozen replica",
    () =>
      Effect.gen(function* () {
        const demo = yield* start()
        yield* leads(demo)
        const [frozen = 0] = pids(demo)
        process.kill(frozen, "SIGSTOP")
        process.kill(demo.handle.pid, "SIGTERM")
        assert.strictEqual(yield* demo.end, 130)
        yield* leavesNothing(demo)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live(
    "leaves nothing behind even when it is killed",
    () =>
      Effect.gen(function* () {
        const demo = yield* start("--keep")
        yield* leads(demo)
        const [frozen = 0] = pids(demo)
        process.kill(frozen, "SIGSTOP")
        yield* killed(demo.handle)
        yield* leavesNothing(demo)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("tells what it can be asked when it is asked something else", () =>
    Effect.gen(function* () {
      const demo = yield* start("--faster")
      assert.strictEqual(yield* demo.end, 2)
      assert.include(demo.lines.join("\n"), "--kubeconfig FILE")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("starts nothing with a kubeconfig that is not there", () =>
    Effect.gen(function* () {
      const demo = yield* start("--kubeconfig", "/nowhere/kubeconfig")
      assert.strictEqual(yield* demo.end, 1)
      assert.deepStrictEqual(demo.lines, ["demo: kubeconfig /nowhere/kubeconfig: the file does not exist"])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
