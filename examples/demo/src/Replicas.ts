/**
 * The processes of hello-leader, run as a Deployment would run its pods: a new one, under a new name, takes the place of
 * one that ended. What they write is told to the stage. Closing the layer ends them all, frozen ones too.
 */
import { Cause, Context, Effect, Exit, FiberSet, Layer, Path, Schema, Scope, Stream } from "effect"
import type { PlatformError } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Cluster } from "./Cluster.ts"
import * as LogLine from "./LogLine.ts"
import { Stage } from "./Stage.ts"
import { Watchdog } from "./Watchdog.ts"

/** A replica gave up although nobody asked it to. */
export class ReplicaFailed extends Schema.TaggedError<ReplicaFailed>()("ReplicaFailed", {
  replica: Schema.String,
  how: Schema.String
}) {
  override get message(): string {
    return `${this.replica} ended by itself (${this.how}): its own words are above`
  }
}

export class Replicas extends Context.Service<
  Replicas,
  {
    readonly signal: (replica: string, signal: NodeJS.Signals) => Effect.Effect<void>
    /** Starts them all; runs as long as they do, and fails when one fails. */
    readonly run: Effect.Effect<never, ReplicaFailed | PlatformError.PlatformError>
  }
>()("effect-leader-demo/Replicas") {
  static readonly layer = (options: { readonly count: number; readonly timings: LogLine.Environment }) =>
    Layer.effect(Replicas, make(options))
}

const linesOf = (bytes: ChildProcessSpawner.ChildProcessHandle["stdout"]) =>
  bytes.pipe(Stream.decodeText(), Stream.splitLines)

interface Process {
  readonly pid: number
  /** Whether it was asked to end. */
  isDoomed: boolean
}

const make = Effect.fnUntraced(function* (options: { readonly count: number; readonly timings: LogLine.Environment }) {
  const { kubeconfig } = yield* Cluster
  const { tell } = yield* Stage
  const watchdog = yield* Watchdog
  const path = yield* Path.Path
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const program = yield* path.fromFileUrl(new URL("../../hello-leader/src/main.ts", import.meta.url))

  const processes = new Map<string, Process>()
  const reportPids = Effect.suspend(() => watchdog.watch(Array.from(processes.values(), ({ pid }) => pid)))

  // In this order, so that at the end the processes end first, and all that they wrote is read.
  const readers = yield* FiberSet.make<void, ReplicaFailed | PlatformError.PlatformError>()
  yield* Effect.addFinalizer(() => Effect.timeoutOption(FiberSet.awaitEmpty(readers), "1 second"))
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  let launched = 0
  let isOpen = true
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOpen = false
    })
  )

  const signal = (replica: string, name: NodeJS.Signals) =>
    Effect.suspend(() => {
      const target = processes.get(replica)
      if (target === undefined) return Effect.void
      if (name === "SIGTERM") target.isDoomed = true
      // It may have ended by now.
      return Effect.ignore(Effect.try(() => process.kill(target.pid, name)))
    })

  const launch = Effect.gen(function* () {
    const replica = `hello-${launched++}`
    const own = yield* Scope.fork(scope)
    const child = yield* spawner
      .spawn(
        ChildProcess.make(process.execPath, [program], {
          env: { ...LogLine.unset, ...options.timings, KUBECONFIG: kubeconfig, POD_NAME: replica },
          extendEnv: true,
          stdin: "ignore",
          forceKillAfter: "4 seconds"
        })
      )
      .pipe(Scope.provide(own))
    processes.set(replica, { pid: child.pid, isDoomed: false })
    yield* reportPids
    yield* tell({ _tag: "Launched", replica, pid: child.pid })
    // A frozen process takes no SIGTERM.
    yield* Scope.addFinalizer(own, signal(replica, "SIGCONT"))
    yield* FiberSet.run(readers, read(replica, child, own))
  }).pipe(Effect.uninterruptible)

  const read = (
    replica: string,
    child: ChildProcessSpawner.ChildProcessHandle,
    own: Scope.Closeable
  ): Effect.Effect<void, ReplicaFailed | PlatformError.PlatformError> =>
    Effect.gen(function* () {
      const lines = Stream.merge(linesOf(child.stdout), linesOf(child.stderr))
      yield* lines.pipe(Stream.runForEach((line) => tell(LogLine.read(replica, line))))
      const exit = yield* Effect.exit(child.exitCode)
      const how = Exit.match(exit, {
        onSuccess: (code) => `exit code ${code}`,
        onFailure: (cause) => /SIG\w+/.exec(Cause.pretty(cause))?.[0] ?? "unknown"
      })
      const gaveUp = Exit.isSuccess(exit) && processes.get(replica)?.isDoomed === false
      processes.delete(replica)
      yield* reportPids
      yield* tell({ _tag: "Ended", replica, how })
      if (isOpen) yield* Scope.close(own, Exit.void)
      if (isOpen && gaveUp) return yield* new ReplicaFailed({ replica, how })
      if (isOpen) yield* launch
    })

  return Replicas.of({
    signal,
    run: Effect.andThen(Effect.replicateEffect(launch, options.count), FiberSet.join(readers)).pipe(
      Effect.andThen(Effect.never)
    )
  })
})
