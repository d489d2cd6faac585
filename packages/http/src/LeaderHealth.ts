/**
 * What a kubelet asks of a candidate: `GET /healthz` and `GET /readyz`, each one line for people, and JSON for
 * `Accept: application/json`.
 *
 * | state of the candidate | `/healthz` | `/readyz` |
 * |---|---|---|
 * | leads, or follows, or waits for a leader | 200 | 200 |
 * | follows, and cannot reach the lock | 200, and says so | 200, and says so |
 * | follows by polling, since it may not watch | 200 | 200 |
 * | gives a term up, or lost it, and competes again | 200 | 200 |
 * | the server begins to close, or the term is given up since the program ends | 200 | 503 |
 * | work of a term outlived its lease | 503 | 503 |
 * | leads by its own word, but its lease has run out for longer than `tolerance` | 503 | 503 |
 * | may not use the lock, or the lock makes no sense | 503 | 503 |
 * | the election has stopped | 503 | 503 |
 *
 * A lock that does not answer is no reason for a restart: it mends no network, and would take down every replica at once,
 * and with them all that followers can do without a leader. A lock that is refused is one: somebody has to act, and a
 * candidate that looks healthy would hide it; a new process also reads its credentials anew.
 *
 * A follower is ready. Readiness that waits for leadership would stop a rolling update for ever: the new Pod is not ready
 * before it leads, and it does not lead before the old one goes. Where only the leader may have the traffic, send it there:
 * `LeaderForwarding`, or `LeaderRouting` of `@effect-leader/kubernetes`.
 *
 * ```ts
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 * import { LeaderHealth } from "@effect-leader/http"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { createServer } from "node:http"
 *
 * export const Main = HttpRouter.serve(LeaderHealth.layer()).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 8080, gracefulShutdownTimeout: "2 seconds" })),
 *   Layer.provide(LeaderElection.layer()),
 *   Layer.provide(LeaseLock.layerMemory())
 * )
 * ```
 *
 * @since 0.1.0
 */
import { LeaderElection } from "@effect-leader/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as BeforeClose from "./internal/BeforeClose.ts"
import type { ElectionClass } from "./internal/Election.ts"
import * as Resource from "./internal/Resource.ts"

/**
 * @since 0.1.0
 */
export interface Options {
  /**
   * For how long, from the first probe that saw it, a candidate may say that it leads while its lease has run out. A
   * process in which this lasts is stuck: it should have noticed at once. Default 10 s.
   */
  readonly tolerance?: Duration.Input
}

/**
 * What both paths answer as JSON.
 *
 * @since 0.1.0
 */
export const Health = Schema.Struct({
  status: Schema.Literals(["ok", "failing"]),
  /** The lock's name. */
  election: Schema.String,
  /** Of this candidate. */
  identity: Schema.String,
  role: Schema.Literals(["Standby", "Leading", "Draining", "Stopped"]),
  /** For a person: what is so, and what to do about it. */
  reason: Schema.String
})

/**
 * @since 0.1.0
 */
export type Health = typeof Health.Type

type Routes<Self> = Layer.Layer<never, never, HttpRouter.HttpRouter | Self>

/**
 * Adds both routes. `election` names another election than `LeaderElection.LeaderElection`.
 *
 * @since 0.1.0
 */
export function layer(options?: Options): Routes<LeaderElection.LeaderElection>
/**
 * @since 0.1.0
 */
export function layer<Self>(options: Options & { readonly election: ElectionClass<Self> }): Routes<Self>
export function layer<Self>(
  options: Options & { readonly election?: ElectionClass<Self> } = {}
): Routes<Self | LeaderElection.LeaderElection> {
  return options.election === undefined
    ? routes(LeaderElection.LeaderElection, options)
    : routes(options.election, options)
}

const routes = <Self>(service: ElectionClass<Self>, options: Options): Routes<Self> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const election = yield* service
      const router = yield* HttpRouter.HttpRouter
      const stuckFor = makeStuckFor()
      let isClosing = false
      yield* BeforeClose.run(
        Effect.sync(() => {
          isClosing = true
        })
      )
      const tolerance = Duration.fromInputUnsafe(options.tolerance ?? "10 seconds")

      const answer = (judge: (leadership: LeaderElection.Leadership, isStuck: boolean) => Verdict) =>
        Effect.fnUntraced(function* (request: HttpServerRequest) {
          const leadership = yield* SubscriptionRef.get(election.leadership)
          const isStuck = Duration.isGreaterThan(yield* stuckFor(leadership), tolerance)
          const { isGood, reason } = judge(leadership, isStuck)
          const health: Health = {
            status: isGood ? "ok" : "failing",
            election: election.name,
            identity: election.identity,
            role: leadership._tag,
            reason
          }
          const status = isGood ? 200 : 503
          const headers = { vary: "accept" }
          return Resource.prefersJson(request, "text/plain")
            ? HttpServerResponse.jsonUnsafe(encode(health), { status, headers })
            : HttpServerResponse.text(`${health.status}: ${reason}\n`, { status, headers })
        })

      yield* Resource.add(router, "/healthz", answer(isAlive))
      yield* Resource.add(
        router,
        "/readyz",
        answer((leadership, isStuck) => (isClosing ? bad("the program ends") : isReady(leadership, isStuck)))
      )
    })
  )

const encode = Schema.encodeSync(Health)

interface Verdict {
  readonly isGood: boolean
  readonly reason: string
}

const good = (reason: string): Verdict => ({ isGood: true, reason })
const bad = (reason: string): Verdict => ({ isGood: false, reason })

/** Whether a restart would not help. */
const isAlive = (leadership: LeaderElection.Leadership, isStuck: boolean): Verdict => {
  switch (leadership._tag) {
    case "Standby": {
      const trouble = Option.getOrUndefined(leadership.trouble)
      if (trouble !== undefined && !trouble.isTransient) {
        return bad(`cannot take part in the election until somebody acts: ${trouble.message}`)
      }
      const follows = Option.match(leadership.leader, {
        onNone: () => "nobody is known to lead",
        onSome: ({ identity }) => `follows ${identity}`
      })
      return good(trouble === undefined ? follows : `${follows}; a restart would not mend this: ${trouble.message}`)
    }
    case "Leading":
      return isStuck
        ? bad(`term ${leadership.term.token} has run out, and this process has not noticed: it is stuck`)
        : good(`leads with token ${leadership.term.token}`)
    case "Draining":
      return leadership.overrun
        ? bad(`work of term ${leadership.term.token} still runs although its lease may be another's: end this process`)
        : good(`stops leading (${leadership.end}), and waits for the work of term ${leadership.term.token} to end`)
    case "Stopped":
      return bad("the election has stopped: this process never leads again")
  }
}

/** Whether requests may be sent here. */
const isReady = (leadership: LeaderElection.Leadership, isStuck: boolean): Verdict =>
  leadership._tag === "Draining" && leadership.end === "Shutdown"
    ? bad("the program ends")
    : isAlive(leadership, isStuck)

/** For how long probes have seen one term run out and not end. A process that was merely paused notices on its own. */
const makeStuckFor = () => {
  let seen: { readonly token: bigint; readonly at: bigint } | undefined
  return (leadership: LeaderElection.Leadership) =>
    Effect.map(Clock.monotonicTimeNanos, (now) => {
      if (leadership._tag !== "Leading" || leadership.term.isValid()) {
        seen = undefined
        return Duration.zero
      }
      if (seen?.token !== leadership.term.token) seen = { token: leadership.term.token, at: now }
      return Duration.nanos(now - seen.at)
    })
}
