/**
 * Candidates of both kinds as real processes on one Lease: ours (the replica of the end-to-end tests) and client-go's.
 * They can be told to end, killed, frozen and thawed, and their journals, which have one format and one clock, tell what
 * each did. When the scope closes, or this process ends in whatever way, none is left, not even a frozen one.
 */
import * as ProcessGuard from "@effect-leader/test-cluster/ProcessGuard"
import { ApiServer, namespace, type User } from "@effect-leader/test-end-to-end/src/ApiServer.ts"
import * as History from "@effect-leader/test-end-to-end/src/History.ts"
import * as Journal from "@effect-leader/test-end-to-end/src/Journal.ts"
import type { Timings } from "@effect-leader/test-end-to-end/src/Replicas.ts"
import type { FaultProxy } from "@effect-leader/testkit"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { ClientGo } from "./ClientGo.ts"

export type Kind = "ours" | "client-go"

/** By the identity that candidates have here. */
export const isOurs = (identity: string): boolean => identity.startsWith("ours-")

export interface Options {
  readonly lease: string
  readonly timings: Timings
  /** Whose rights each kind has. */
  readonly users: { readonly [K in Kind]: User }
  /** In seconds, of client-go. Default: none, as in its example; half the renew deadline is what NewFromKubeconfig sets. */
  readonly requestTimeout?: number
  /** In milliseconds: how long our work takes to stop. Default: no time. */
  readonly finalizer?: number
}

export interface Candidate {
  readonly kind: Kind
  readonly identity: string
  readonly user: User
  readonly pid: number
  /** The instant before the signal, of the monotonic clock. SIGTERM. */
  readonly terminate: Effect.Effect<bigint>
  /** SIGKILL; the instant before. */
  readonly kill: Effect.Effect<bigint>
  /** SIGSTOP, right after a piece of work: what was begun before a stop is beyond any lease. The instant after. */
  readonly freeze: Effect.Effect<bigint>
  /** SIGCONT; the instant before. */
  readonly thaw: Effect.Effect<bigint>
  readonly isRunning: () => boolean
  /** Waits for the end: the exit code, or the name of the signal. */
  readonly exit: Effect.Effect<number | string>
  readonly entries: () => ReadonlyArray<Journal.Entry>
  readonly log: () => string
}

/** A candidate that leads, or led. */
export interface Leader {
  readonly candidate: Candidate
  readonly token: bigint
}

export interface Candidates {
  /** A new one, under an identity of its own, with its connections through a proxy if there is one. */
  readonly start: (kind: Kind, proxy?: FaultProxy.FaultProxy) => Effect.Effect<Candidate>
  /** Waits until the function finds something, for a minute. */
  readonly until: <A>(find: () => A | undefined) => Effect.Effect<A>
  /** Waits until someone works under a token that is greater than the one given. */
  readonly nextLeader: (after?: Leader) => Effect.Effect<Leader>
  /** Waits until the candidate knows who leads, and that it is not itself. */
  readonly untilItFollows: (candidate: Candidate, leader: Leader) => Effect.Effect<void>
  /** So far, in the order in which they began. */
  readonly terms: () => ReadonlyArray<History.Term>
  readonly termOf: (leader: Leader) => Effect.Effect<History.Term>
  readonly pauses: () => ReadonlyArray<History.Pause>
  readonly violations: Effect.Effect<ReadonlyArray<History.Violation>>
}

const replica = createRequire(import.meta.url).resolve("@effect-leader/test-end-to-end/src/replica.ts")
const tickEveryMillis = 20

export const make = Effect.fnUntraced(function* (options: Options) {
  const server = yield* ApiServer
  const clientGo = yield* ClientGo
  const guard = yield* ProcessGuard.make("effect-leader-interop-")
  const candidates: Array<Candidate> = []
  const pauses: Array<History.Pause> = []
  const entries = () => candidates.flatMap((it) => it.entries()).toSorted(History.by(({ at }) => at))
  const terms = () => History.termsOf(entries(), pauses)

  yield* Effect.addFinalizer((exit) =>
    Effect.gen(function* () {
      if (Exit.isFailure(exit)) yield* Effect.logError(report(options.lease, candidates))
      for (const candidate of candidates) yield* Effect.andThen(candidate.kill, candidate.exit)
    })
  )

  const made: Candidates = {
    start: (kind, proxy) =>
      Effect.sync(() => {
        const user = options.users[kind]
        const identity = `${kind}-${candidates.length + 1}`
        const { folder } = guard
        const kubeconfig = proxy === undefined ? server.kubeconfig(user) : `${folder}/${identity}.kubeconfig`
        if (proxy !== undefined) writeFileSync(kubeconfig, proxy.kubeconfig(server.token(user)), { mode: 0o600 })
        const place = { ...options, identity, kubeconfig, folder }
        const command = kind === "ours" ? ourCommand(place) : clientGoCommand(place, clientGo.path)
        const candidate = launch({ kind, user, identity, command, guard, pauses })
        candidates.push(candidate)
        return candidate
      }),
    until,
    nextLeader: (after) =>
      until(() =>
        candidates
          .flatMap((candidate) =>
            candidate
              .entries()
              .flatMap((entry) =>
                entry.event === "Tick" && entry.token > (after?.token ?? 0n) ? [{ candidate, token: entry.token }] : []
              )
          )
          .toSorted(History.by(({ token }) => token))
          .at(-1)
      ),
    untilItFollows: (candidate, { candidate: { identity } }) =>
      until(() => {
        const last = candidate.entries().findLast((entry) => !Journal.isWork(entry))
        return last !== undefined && "leader" in last && last.leader === identity ? last : undefined
      }),
    terms,
    termOf: ({ token }) =>
      Effect.suspend(() => {
        const term = terms().find((it) => it.token === token)
        return term === undefined ? Effect.die(new Error(`no term has token ${token}`)) : Effect.succeed(term)
      }),
    pauses: () => pauses,
    violations: Effect.sync(() => History.violationsOf(entries(), pauses))
  }
  return made
}, Effect.provide(NodeFileSystem.layer))

const until = <A>(find: () => A | undefined): Effect.Effect<A> =>
  Effect.timeoutOrElse(poll(find), {
    duration: "1 minute",
    orElse: () => Effect.die(new Error(`not within a minute: ${find}`))
  })

const poll = <A>(find: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = find()
    return found === undefined ? Effect.andThen(Effect.sleep("10 millis"), poll(find)) : Effect.succeed(found)
  })

interface Place extends Options {
  readonly identity: string
  readonly kubeconfig: string
  readonly folder: string
}

interface Command {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
}

const ourCommand = ({ finalizer, folder, identity, kubeconfig, lease, timings }: Place): Command => ({
  program: process.execPath,
  args: [replica],
  env: {
    POD_NAME: identity,
    LEASE: lease,
    LEASE_DURATION: `${timings.leaseDuration}s`,
    RENEW_DEADLINE: `${timings.renewDeadline}s`,
    RETRY_PERIOD: `${timings.retryPeriod}s`,
    // The longest there is, so that an answer which is late but in time for client-go is so for ours.
    REQUEST_TIMEOUT: `${timings.renewDeadline / 2}s`,
    TICK_EVERY: `${tickEveryMillis} millis`,
    FINALIZER: `${finalizer ?? 0} millis`,
    KUBECONFIG: kubeconfig,
    JOURNAL: journalOf(folder, identity)
  }
})

const clientGoCommand = (
  { folder, identity, kubeconfig, lease, requestTimeout, timings }: Place,
  program: string
): Command => ({
  program,
  args: [
    `--kubeconfig=${kubeconfig}`,
    `--namespace=${namespace}`,
    `--lease=${lease}`,
    `--identity=${identity}`,
    `--lease-duration=${timings.leaseDuration}s`,
    `--renew-deadline=${timings.renewDeadline}s`,
    `--retry-period=${timings.retryPeriod}s`,
    `--request-timeout=${requestTimeout ?? 0}s`,
    "--release-on-cancel",
    `--tick-every=${tickEveryMillis}ms`,
    `--journal=${journalOf(folder, identity)}`
  ],
  env: {}
})

const journalOf = (folder: string, identity: string) => `${folder}/${identity}.journal`

interface Launch {
  readonly kind: Kind
  readonly user: User
  readonly identity: string
  readonly command: Command
  readonly guard: ProcessGuard.ProcessGuard
  readonly pauses: Array<History.Pause>
}

const launch = ({ command, guard, identity, kind, pauses, user }: Launch): Candidate => {
  const logFile = `${guard.folder}/${identity}.log`
  const output = openSync(logFile, "a")
  const child = spawn(command.program, command.args, {
    stdio: ["ignore", output, output],
    // A session of its own: Ctrl-C in a terminal is for the tests, which then decide about it.
    detached: true,
    // Nothing of the developer's shell.
    env: { HOME: guard.folder, TMPDIR: guard.folder, ...command.env }
  })
  closeSync(output)
  const pid = child.pid
  if (pid === undefined) throw new Error(`${command.program} cannot be started`)
  guard.take(pid)

  const gone = Deferred.makeUnsafe<number | string>()
  let isRunning = true
  child.once("exit", (code, signal) => {
    isRunning = false
    guard.drop(pid)
    Deferred.doneUnsafe(gone, Effect.succeed(signal ?? code ?? "unknown"))
  })

  const entries = Journal.read(journalOf(guard.folder, identity))
  const send = (signal: NodeJS.Signals) =>
    Effect.sync(() => {
      const before = process.hrtime.bigint()
      if (isRunning) child.kill(signal)
      return before
    })
  const nextTick = Effect.suspend(() => {
    const from = process.hrtime.bigint()
    return poll(() => entries().find(({ at, event }) => event === "Tick" && at > from))
  })

  return {
    kind,
    identity,
    user,
    pid,
    terminate: send("SIGTERM"),
    kill: send("SIGKILL"),
    freeze: Effect.andThen(nextTick, send("SIGSTOP")).pipe(
      Effect.map(() => process.hrtime.bigint()),
      Effect.tap((from) => Effect.sync(() => pauses.push({ pid, from, until: undefined })))
    ),
    thaw: Effect.map(send("SIGCONT"), (at) => {
      const pause = pauses.findIndex((it) => it.pid === pid && it.until === undefined)
      const begun = pauses[pause]
      if (begun !== undefined) pauses[pause] = { ...begun, until: at }
      return at
    }),
    isRunning: () => isRunning,
    exit: Deferred.await(gone),
    entries,
    log: () => readFileSync(logFile, "utf8")
  }
}

/** What a person needs to see why a test failed. */
const report = (lease: string, candidates: ReadonlyArray<Candidate>): string => {
  const entries = candidates.flatMap((it) => it.entries()).toSorted(History.by(({ at }) => at))
  const origin = entries[0]?.at ?? 0n
  const lines = entries
    .filter(({ event }) => event !== "Tick")
    .map((it) => {
      const about = "token" in it ? `token ${it.token}` : "leader" in it ? `leader ${it.leader}` : ""
      return `${History.inMillis(it.at - origin).toFixed(0)} ms ${it.identity} ${it.event} ${about}`
    })
  const logs = candidates.map((it) => `--- log of ${it.identity} (pid ${it.pid})\n${it.log().slice(-3000)}`)
  return [`what was done on ${lease}:`, ...lines, ...logs].join("\n")
}
