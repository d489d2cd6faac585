/**
 * Replicas of one program as real processes, competing for one Lease: they can be started, terminated, killed, frozen and
 * thawed, and their journals tell what they did. When the scope closes, or this process ends in whatever way, none is
 * left, not even a frozen one.
 */
import * as ProcessGuard from "@effect-leader/test-cluster/ProcessGuard"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ApiServer, type User } from "./ApiServer.ts"
import * as History from "./History.ts"
import * as Journal from "./Journal.ts"

/** In seconds; the Lease duration in whole ones. */
export interface Timings {
  readonly leaseDuration: number
  readonly renewDeadline: number
  readonly retryPeriod: number
}

export interface Options {
  readonly lease: string
  readonly timings: Timings
  /** More of the environment: see replica.ts. */
  readonly env?: { readonly [name: string]: string }
  /** The kubeconfig file of a user. Default: the server's. */
  readonly kubeconfig?: (user: User) => string
}

export interface Replica {
  readonly identity: string
  readonly user: User
  readonly pid: number
  readonly startedAt: bigint
  /** The instant at which the signal was sent, of the monotonic clock; so do the three that follow. SIGTERM. */
  readonly terminate: Effect.Effect<bigint>
  /** SIGKILL. */
  readonly kill: Effect.Effect<bigint>
  /** SIGSTOP, right after a piece of work if it leads: what was begun before a stop is beyond any lease. */
  readonly freeze: Effect.Effect<bigint>
  /** SIGCONT. */
  readonly thaw: Effect.Effect<bigint>
  readonly isRunning: Effect.Effect<boolean>
  /** It has ended without SIGTERM or SIGKILL from here. */
  readonly hasCrashed: () => boolean
  /** Waits for the end: the exit code, or the name of the signal. */
  readonly exit: Effect.Effect<number | string>
  /** What it has printed. */
  readonly log: Effect.Effect<string>
  readonly entries: () => ReadonlyArray<Journal.Entry>
}

/** A replica that leads, or led. */
export interface Leader {
  readonly replica: Replica
  readonly token: bigint
}

export interface Replicas {
  /** A new one, under an identity of its own. */
  readonly start: (user: User) => Effect.Effect<Replica>
  /** A new one, under an identity that another may have had. */
  readonly startAs: (user: User, identity: string) => Effect.Effect<Replica>
  /** Waits until someone works under a token that is greater than the one given. */
  readonly nextLeader: (after?: Leader) => Effect.Effect<Leader>
  /** Waits until the function finds something. Dies when a replica has ended unasked; else the test's timeout ends it. */
  readonly until: <A>(find: () => A | undefined) => Effect.Effect<A>
  /** All journals so far, in the order of time. */
  readonly entries: Effect.Effect<ReadonlyArray<Journal.Entry>>
  readonly terms: Effect.Effect<ReadonlyArray<History.Term>>
  readonly violations: Effect.Effect<ReadonlyArray<History.Violation>>
  /** What a person needs to see why a test failed: terms and pauses from an instant on, and the ends of the logs. */
  readonly report: (since?: bigint) => Effect.Effect<string>
}

const program = fileURLToPath(new URL("./replica.ts", import.meta.url))
const tickEvery = "20 millis"

export const make = Effect.fnUntraced(function* (options: Options) {
  const server = yield* ApiServer
  const guard = yield* ProcessGuard.make("effect-leader-replicas-")
  const replicas: Array<Replica> = []
  const pauses: Array<History.Pause> = []
  const entries = Effect.sync(() =>
    replicas.flatMap((replica) => replica.entries()).toSorted(History.by(({ at }) => at))
  )

  yield* Effect.addFinalizer((exit) =>
    Effect.gen(function* () {
      if (Exit.isFailure(exit)) yield* Effect.logError(yield* report(replicas, pauses, 0n))
      for (const replica of replicas) yield* Effect.andThen(replica.kill, replica.exit)
    })
  )

  const until: Replicas["until"] = (find) =>
    waitFor(() => {
      const crashed = replicas.find((replica) => replica.hasCrashed())
      if (crashed !== undefined) throw new Error(`${crashed.identity} ended, and nobody had told it to`)
      return find()
    })

  const fileOf = (user: User) => `${user}-${replicas.length + 1}`
  const begin = (user: User, identity: string) =>
    Effect.sync(() => {
      const kubeconfig = options.kubeconfig ?? server.kubeconfig
      const env = { ...environmentOf(options), KUBECONFIG: kubeconfig(user) }
      const replica = launch({ user, identity, file: fileOf(user), guard, pauses, env })
      replicas.push(replica)
      return replica
    })

  const made: Replicas = {
    until,
    start: (user) => Effect.suspend(() => begin(user, fileOf(user))),
    startAs: begin,
    nextLeader: (after) =>
      until(() => {
        const working = replicas.flatMap((replica) =>
          replica
            .entries()
            .flatMap((entry) =>
              entry.event === "Tick" && entry.token > (after?.token ?? 0n) ? [{ replica, token: entry.token }] : []
            )
        )
        return working.toSorted(History.by(({ token }) => token)).at(-1)
      }),
    entries,
    terms: Effect.map(entries, (all) => History.termsOf(all, pauses)),
    violations: Effect.map(entries, (all) => History.violationsOf(all, pauses)),
    report: (since = 0n) => report(replicas, pauses, since)
  }
  return made
}, Effect.provide(NodeFileSystem.layer))

const waitFor = <A>(find: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = find()
    return found === undefined ? Effect.andThen(Effect.sleep("10 millis"), waitFor(find)) : Effect.succeed(found)
  })

const environmentOf = ({ env, lease, timings }: Options) => ({
  LEASE: lease,
  LEASE_DURATION: `${timings.leaseDuration}s`,
  RENEW_DEADLINE: `${timings.renewDeadline}s`,
  RETRY_PERIOD: `${timings.retryPeriod}s`,
  TICK_EVERY: tickEvery,
  ...env
})

interface Launch {
  readonly user: User
  readonly identity: string
  /** What its files are called: several processes can have one identity, one after another. */
  readonly file: string
  readonly guard: ProcessGuard.ProcessGuard
  readonly pauses: Array<History.Pause>
  readonly env: { readonly [name: string]: string }
}

const launch = ({ env, file, guard, identity, pauses, user }: Launch): Replica => {
  const logFile = `${guard.folder}/${file}.log`
  const journal = `${guard.folder}/${file}.journal`
  const output = openSync(logFile, "a")
  const child = spawn(process.execPath, [program], {
    stdio: ["ignore", output, output],
    // A session of its own: Ctrl-C in a terminal is for the tests, which then decide about it.
    detached: true,
    // Nothing of the developer's shell.
    env: { HOME: guard.folder, TMPDIR: guard.folder, POD_NAME: identity, JOURNAL: journal, ...env }
  })
  closeSync(output)
  const startedAt = process.hrtime.bigint()
  const pid = child.pid
  if (pid === undefined) throw new Error(`${process.execPath} cannot be started`)
  guard.take(pid)

  const gone = Deferred.makeUnsafe<number | string>()
  let isRunning = true
  let isToldToEnd = false
  child.once("exit", (code, signal) => {
    isRunning = false
    guard.drop(pid)
    Deferred.doneUnsafe(gone, Effect.succeed(signal ?? code ?? "unknown"))
  })

  const entries = Journal.read(journal)
  const send = (signal: NodeJS.Signals) =>
    Effect.sync(() => {
      const before = process.hrtime.bigint()
      if (isRunning) child.kill(signal)
      if (signal === "SIGTERM" || signal === "SIGKILL") isToldToEnd = true
      // Whichever side of the signal makes a test stricter.
      return signal === "SIGSTOP" ? process.hrtime.bigint() : before
    })
  const afterTick = Effect.suspend(() => {
    const last = entries().findLast(Journal.isWork)
    if (last?.event !== "Tick") return Effect.void
    return waitFor(() => entries().find((entry) => entry.at > last.at && Journal.isWork(entry)))
  })

  return {
    identity,
    user,
    pid,
    startedAt,
    terminate: send("SIGTERM"),
    kill: send("SIGKILL"),
    freeze: Effect.andThen(afterTick, send("SIGSTOP")).pipe(
      Effect.tap((from) => Effect.sync(() => pauses.push({ pid, from, until: undefined })))
    ),
    thaw: Effect.map(send("SIGCONT"), (at) => {
      const pause = pauses.findIndex((it) => it.pid === pid && it.until === undefined)
      const begun = pauses[pause]
      if (begun !== undefined) pauses[pause] = { ...begun, until: at }
      return at
    }),
    isRunning: Effect.sync(() => isRunning),
    hasCrashed: () => !isRunning && !isToldToEnd,
    exit: Deferred.await(gone),
    log: Effect.sync(() => readFileSync(logFile, "utf8")),
    entries
  }
}

const report = Effect.fnUntraced(function* (
  replicas: ReadonlyArray<Replica>,
  pauses: ReadonlyArray<History.Pause>,
  from: bigint
): Effect.fn.Return<string> {
  const all = replicas.flatMap(({ entries }) => entries()).toSorted(History.by(({ at }) => at))
  const origin = all[0]?.at ?? 0n
  const since = (at: bigint | undefined) => (at === undefined ? "-" : `${History.inMillis(at - origin)} ms`)
  const lines = History.termsOf(all, pauses)
    .filter(({ workedUntil }) => workedUntil >= from)
    .map(
      (term) =>
        `${term.identity} (pid ${term.pid}) token ${term.token}: started ${since(term.startedAt)}, ` +
        `last tick ${since(term.ticks.at(-1))}, stopping ${since(term.stoppingAt)}, ended ${since(term.endedAt)}`
    )
  const recent = pauses.filter(({ until }) => until === undefined || until >= from)
  const logs = yield* Effect.forEach(
    replicas.filter(({ entries }) => (entries().at(-1)?.at ?? from) >= from),
    ({ identity, log, pid }) => Effect.map(log, (text) => `--- log of ${identity} (pid ${pid})\n${text.slice(-6000)}`)
  )
  return [
    `terms, from the first entry at ${origin}:`,
    ...lines,
    ...recent.map(({ from, pid, until }) => `pid ${pid} paused from ${since(from)} until ${since(until)}`),
    ...logs
  ].join("\n")
})
