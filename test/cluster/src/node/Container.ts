/**
 * One container of a Pod: a process that is started, watched, probed, and started again when it ends, with growing
 * pauses. The process leads a process group of its own, so that a signal reaches its children too.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { spawn } from "node:child_process"
import { closeSync, openSync, writeSync } from "node:fs"
import { get } from "node:http"
import type { ProcessGuard } from "../ProcessGuard.ts"
import type { ContainerSpec, ProbeSpec } from "./Pod.ts"

export interface Command {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly env: { readonly [name: string]: string }
}

type State =
  | { readonly _tag: "Waiting"; readonly reason: string; readonly message: string }
  | {
      readonly _tag: "Running"
      readonly pid: number
      readonly startedAt: string
      readonly gone: Deferred.Deferred<Ended>
    }
  | { readonly _tag: "Terminated"; readonly ended: Ended }

export interface Ended {
  readonly exitCode: number
  readonly signal: number | undefined
  readonly startedAt: string
  readonly finishedAt: string
}

export interface Options {
  readonly spec: ContainerSpec
  /** Fails with what keeps the container from starting. */
  readonly command: Effect.Effect<Command, { readonly reason: string; readonly message: string }>
  readonly restartPolicy: "Always" | "OnFailure" | "Never"
  /** Where its ports are. */
  readonly address: string
  readonly log: string
  readonly guard: ProcessGuard
  readonly onChange: () => void
}

export interface Container {
  /** Runs until it may not be started any more. */
  readonly run: Effect.Effect<void>
  /** SIGTERM, and SIGKILL when the grace is over; returns when it is gone. Nothing is started after it. */
  readonly stop: (grace: Duration.Duration) => Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly pid: () => number | undefined
  readonly isReady: () => boolean
  /** At least once. */
  readonly hasStarted: () => boolean
  readonly hasEnded: () => Ended | undefined
  /** For the Pod's status. */
  readonly status: () => object
}

const firstPause = Duration.seconds(1)
const longestPause = Duration.seconds(30)

export const make = (options: Options): Container => {
  const { guard, onChange, spec } = options
  let state: State = { _tag: "Waiting", reason: "ContainerCreating", message: "" }
  let last: Ended | undefined
  let starts = 0
  let ready = false
  let stopping = false

  const become = (next: State) => {
    state = next
    if (next._tag !== "Running") ready = false
    onChange()
  }
  const setReady = (value: boolean) => {
    if (ready === value) return
    ready = value
    onChange()
  }

  const kill = (signal: NodeJS.Signals) => {
    if (state._tag === "Running") killGroup(state.pid, signal)
  }

  const launch = Effect.fnUntraced(function* (command: Command) {
    const startedAt = DateTime.formatIso(yield* DateTime.now)
    return yield* Effect.suspend(() => {
      if (stopping) return Effect.succeed(undefined)
      const output = openSync(options.log, "a")
      writeSync(output, `--- ${spec.name} starts\n`)
      const child = spawn(command.program, command.args, {
        cwd: command.cwd,
        env: command.env,
        stdio: ["ignore", output, output],
        detached: true
      })
      closeSync(output)
      const gone = Deferred.makeUnsafe<Ended>()
      const { pid } = child
      if (pid === undefined) {
        child.once("error", () => {})
        return Effect.fail({
          reason: "RunContainerError",
          message: `${command.program} cannot be run in ${command.cwd}`
        })
      }
      guard.take(pid)
      child.once("error", () => {})
      child.once("exit", (code, signal) => {
        // What it has started ends with it, as in a container.
        killGroup(pid, "SIGKILL")
        guard.drop(pid)
        const number = signal === null ? undefined : (signals[signal] ?? 0)
        const finishedAt = new Date().toISOString()
        Deferred.doneUnsafe(
          gone,
          Effect.succeed({ exitCode: code ?? 128 + (number ?? 0), signal: number, startedAt, finishedAt })
        )
      })
      starts += 1
      become({ _tag: "Running", pid, startedAt, gone })
      return Effect.succeed(gone)
    })
  })

  const probe = (of: ProbeSpec, isEager: boolean, tell: (isGood: boolean) => void) =>
    Effect.gen(function* () {
      const target = of.httpGet
      if (target === undefined) return
      const port =
        typeof target.port === "number"
          ? target.port
          : (spec.ports?.find(({ name }) => name === target.port)?.containerPort ?? 0)
      const ask = asks(options.address, port, target.path ?? "/").pipe(
        Effect.timeoutOption(Duration.seconds(of.timeoutSeconds ?? 1)),
        Effect.map(Option.getOrElse(() => false))
      )
      yield* Effect.sleep(Duration.seconds(of.initialDelaySeconds ?? 0))
      let failures = 0
      let hasPassed = false
      while (true) {
        const isGood = yield* ask
        failures = isGood ? 0 : failures + 1
        hasPassed ||= isGood
        if (isGood || failures >= (of.failureThreshold ?? 3)) tell(isGood)
        yield* Effect.sleep(hasPassed || !isEager ? Duration.seconds(of.periodSeconds ?? 10) : Duration.millis(100))
      }
    })

  const probes = Effect.suspend(() => {
    const { livenessProbe, readinessProbe } = spec
    if (readinessProbe === undefined) setReady(true)
    return Effect.all(
      [
        // As a kubelet does not wait for its period either while a container has yet to become ready.
        readinessProbe === undefined ? Effect.void : probe(readinessProbe, true, setReady),
        livenessProbe === undefined
          ? Effect.void
          : probe({ initialDelaySeconds: 5, ...livenessProbe }, false, (isGood) => {
              if (!isGood) kill("SIGKILL")
            })
      ],
      { concurrency: "unbounded", discard: true }
    )
  })

  const runOnce = Effect.gen(function* () {
    const gone = yield* launch(yield* options.command)
    if (gone === undefined) return
    const ended = yield* Effect.raceFirst(Deferred.await(gone), Effect.andThen(probes, Effect.never))
    last = ended
    become({ _tag: "Terminated", ended })
  })

  const mayRestart = () =>
    !stopping &&
    (options.restartPolicy === "Always" ||
      (options.restartPolicy === "OnFailure" && (last === undefined || last.exitCode !== 0)))

  const run = Effect.gen(function* () {
    let pause = firstPause
    while (true) {
      const startedAt = yield* Clock.monotonicTimeNanos
      yield* runOnce.pipe(
        Effect.catch(({ message, reason }) => Effect.sync(() => become({ _tag: "Waiting", reason, message })))
      )
      if (!mayRestart()) return
      // What ran for a while is no crash loop.
      if ((yield* Clock.monotonicTimeNanos) - startedAt > 10_000_000_000n) pause = firstPause
      yield* Effect.sleep(pause)
      if (state._tag === "Terminated") become({ _tag: "Waiting", reason: "CrashLoopBackOff", message: "starts again" })
      pause = Duration.min(Duration.times(pause, 2), longestPause)
    }
  })

  const stop = (grace: Duration.Duration) =>
    Effect.gen(function* () {
      stopping = true
      setReady(false)
      if (state._tag !== "Running") return
      const { gone } = state
      kill("SIGTERM")
      kill("SIGCONT")
      yield* Deferred.await(gone).pipe(
        Effect.timeoutOrElse({
          duration: grace,
          orElse: () =>
            Effect.andThen(
              Effect.sync(() => kill("SIGKILL")),
              Deferred.await(gone)
            )
        })
      )
    })

  return {
    run,
    stop,
    signal: kill,
    pid: () => (state._tag === "Running" ? state.pid : undefined),
    isReady: () => ready,
    hasStarted: () => starts > 0,
    hasEnded: () => (state._tag === "Terminated" ? state.ended : undefined),
    status: () => ({
      name: spec.name,
      image: spec.image,
      imageID: spec.image,
      containerID: `process://${state._tag === "Running" ? state.pid : "none"}`,
      ready,
      started: state._tag === "Running",
      restartCount: Math.max(0, starts - 1),
      state: describe(state),
      lastState: last === undefined || state._tag === "Terminated" ? {} : { terminated: terminated(last) }
    })
  }
}

/** On a connection of its own, as a kubelet probes. */
const asks = (host: string, port: number, path: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const answer = (isGood: boolean) => resume(Effect.succeed(isGood))
    const request = get({ host, port, path, agent: false }, (response) => {
      response.resume()
      answer((response.statusCode ?? 500) < 400)
    })
    request.on("error", () => answer(false))
    return Effect.sync(() => request.destroy())
  })

const killGroup = (leader: number, signal: NodeJS.Signals) => {
  try {
    process.kill(-leader, signal)
  } catch {
    // Nothing of it is left.
  }
}

const signals: { readonly [name: string]: number } = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15
}

const describe = (state: State): object => {
  switch (state._tag) {
    case "Waiting":
      return { waiting: { reason: state.reason, message: state.message } }
    case "Running":
      return { running: { startedAt: wholeSeconds(state.startedAt) } }
    case "Terminated":
      return { terminated: terminated(state.ended) }
  }
}

const terminated = (ended: Ended): object => ({
  exitCode: ended.exitCode,
  ...(ended.signal === undefined ? {} : { signal: ended.signal }),
  reason: ended.exitCode === 0 ? "Completed" : "Error",
  startedAt: wholeSeconds(ended.startedAt),
  finishedAt: wholeSeconds(ended.finishedAt)
})

const wholeSeconds = (iso: string): string => iso.replace(/\.\d+Z$/, "Z")
