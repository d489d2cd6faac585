/**
 * Several pods in one process: each has its own election, its own connection to the database, and its own server.
 */
import { LeaderElection, type LeaseLock } from "@effect-leader/core"
import { NodeHttpServer } from "@effect/platform-node"
import { ConfigProvider, Context, Effect, Exit, Layer, Option, Schedule, Schema, Scope } from "effect"
import { createServer } from "node:http"
import * as Net from "node:net"
import * as App from "../src/App.ts"
import type { Store, StoreError } from "../src/Store.ts"

/** Where a pod answers. */
export interface Place {
  readonly name: string
  readonly url: string
}

export interface Pod extends Place {
  readonly election: LeaderElection.Election<LeaderElection.LeaderElection>
  /** As SIGTERM does. */
  readonly stop: Effect.Effect<void>
}

export interface Options {
  /** What followers do with writes. Default: forward. */
  readonly followerWrites?: "forward" | "redirect"
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
  readonly json: unknown
}

export const freePort = Effect.callback<number>((resume) => {
  const probe = Net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})

export const start = Effect.fnUntraced(function* (
  name: string,
  store: Layer.Layer<Store, StoreError>,
  options: Options = {}
): Effect.fn.Return<Pod, never, LeaseLock.LeaseLock | Scope.Scope> {
  const port = yield* freePort
  const election = LeaderElection.layer({
    identity: name,
    address: `127.0.0.1:${port}`,
    leaseDuration: "3 seconds",
    renewDeadline: "2 seconds",
    retryPeriod: "100 millis"
  })
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* App.layer.pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port, gracefulShutdownTimeout: "1 second" })),
    Layer.provideMerge(election),
    Layer.provide(store),
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromUnknown({ FOLLOWER_WRITES: options.followerWrites ?? "forward" }))
    ),
    Layer.fresh,
    Layer.buildWithScope(scope),
    Effect.orDie
  )
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    election: Context.get(context, LeaderElection.LeaderElection),
    stop: Scope.close(scope, Exit.void)
  }
})

/** Waits until one of them leads. */
export const leader = (pods: ReadonlyArray<Pod>): Effect.Effect<Pod> =>
  Effect.findFirst(pods, ({ election }) => election.isLeader).pipe(
    Effect.flatMap(Effect.fromOption),
    Effect.retry(Schedule.spaced("10 millis")),
    Effect.orDie
  )

/** Waits until a follower has heard who leads. */
export const knows = (follower: Pod, leader: Place): Effect.Effect<void> =>
  follower.election.leader.pipe(
    Effect.repeat({
      until: Option.exists(({ identity }) => identity === leader.name),
      schedule: Schedule.spaced("10 millis")
    })
  )

/** The whole log, as a pod reads it, page by page. */
export const readLog = Effect.fnUntraced(function* (pod: Place) {
  const log: Array<typeof LogEntry.Type> = []
  for (;;) {
    const { json } = yield* ask(pod, `/log?after=${log.at(-1)?.sequence ?? 0}&limit=300`)
    const { entries } = yield* Effect.orDie(Schema.decodeUnknownEffect(LogPage)(json))
    if (entries.length === 0) return log
    log.push(...entries)
  }
})

const LogEntry = Schema.Struct({
  sequence: Schema.Int,
  id: Schema.String,
  token: Schema.String,
  key: Schema.String,
  value: Schema.String
})
const LogPage = Schema.Struct({ entries: Schema.Array(LogEntry) })

/** The connection was refused, or broken before the answer was complete. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", { cause: Schema.Defect() }) {}

export const ask = (pod: Place, path: string, init: RequestInit = {}): Effect.Effect<Answer, NoAnswer> =>
  Effect.tryPromise({
    try: (signal) =>
      fetch(pod.url + path, { redirect: "manual", ...init, signal }).then((response) =>
        response.text().then((body) => ({ status: response.status, headers: response.headers, body }))
      ),
    catch: (cause) => new NoAnswer({ cause })
  }).pipe(Effect.map((answer) => ({ ...answer, json: parse(answer.body) })))

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const put = (pod: Place, key: string, value: string | Uint8Array<ArrayBuffer>, id?: string) =>
  ask(pod, `/keys/${encodeURIComponent(key)}`, {
    method: "PUT",
    body: value,
    ...(id === undefined ? {} : { headers: { "idempotency-key": id } })
  })
