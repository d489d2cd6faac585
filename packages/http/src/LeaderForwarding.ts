/**
 * Middleware for routes that only the leader may handle. Where the candidate leads, its handler runs in the term, and is
 * interrupted when the term ends; elsewhere the request is sent to the leader's published address (`Options.address` of the
 * election). The client does not have to know who leads, and does not notice most changes of the leader.
 *
 * A handler asks for the `Term` of the election, so a route that lacks the middleware does not compile:
 *
 * ```ts
 * import { LeaderElection } from "@effect-leader/core"
 * import { LeaderForwarding } from "@effect-leader/http"
 * import { NodeHttpClient } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * const Writes = HttpRouter.add(
 *   "PUT",
 *   "/entries/:key",
 *   Effect.gen(function* () {
 *     const term = yield* LeaderElection.Term
 *     yield* term.guard(Effect.log(`writes with token ${term.token}`))
 *     return HttpServerResponse.empty({ status: 204 })
 *   })
 * ).pipe(Layer.provide(LeaderForwarding.layer()), Layer.provide(NodeHttpClient.layerUndici))
 *
 * // Any candidate answers this one.
 * const Reads = HttpRouter.add("GET", "/entries/:key", HttpServerResponse.text("a value"))
 *
 * export const Routes = Layer.merge(Reads, Writes)
 * ```
 *
 * ## While leadership changes
 *
 * A request waits for a leader for up to `waitLimit`, and is tried again within it:
 *
 * - Whatever its method, if it was certainly not carried out: the client says that no connection to the leader came about
 *   (undici's patience with that is 10 s, beyond `waitLimit`), or the peer does not lead.
 * - Else only if it is idempotent: GET, HEAD, OPTIONS, TRACE, QUERY, PUT, DELETE, or with an `Idempotency-Key`. A leader that
 *   is no leader any more, and has not answered a second later, counts as one that will not.
 * - A body is kept for that up to `maxBufferedBody`; a longer one, and one of unknown length, passes through as it comes.
 *
 * Then the client is told:
 *
 * | status | `effect-leader-outcome` | `Retry-After` | what |
 * |---|---|---|---|
 * | 400 | | | a path that would not reach the leader as it is: with `.` or `..`, a backslash or a fragment |
 * | 400 | | | a WebSocket handshake with a body, which Node reads for nobody |
 * | 500 | | | a middleware before this one has read the body, and the request has not kept it (as after `stream`) |
 * | 503 | `not-done` | 1 | nobody leads, the leader cannot be reached, or it publishes no address |
 * | 503 | `in-doubt` | if idempotent | the term, or the server, ended while the own handler ran |
 * | 502 | `in-doubt` | if idempotent | the answer of the leader did not come |
 *
 * There is at most one hop. A candidate that is sent a forwarded request and does not lead answers 503, and the one that
 * forwarded it looks for the leader again.
 *
 * @since 0.1.0
 */
import { LeaderElection, type Term } from "@effect-leader/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Attempt from "./internal/Attempt.ts"
import * as BeforeClose from "./internal/BeforeClose.ts"
import * as Courier from "./internal/Courier.ts"
import type { ElectionClass } from "./internal/Election.ts"
import * as Forwarding from "./internal/Forwarding.ts"
import * as OwnTerm from "./internal/OwnTerm.ts"
import * as RequestBody from "./internal/RequestBody.ts"
import * as Whereabouts from "./internal/Whereabouts.ts"

/**
 * @since 0.1.0
 */
export interface RedirectOptions {
  /** How long a request may wait for a leader, the time between repetitions included. Default 5 s. */
  readonly waitLimit?: Duration.Input
}

/**
 * @since 0.1.0
 */
export interface Options extends RedirectOptions {
  /** The longest body that is kept in memory so that it can be sent again, in bytes. Default 1 MiB. */
  readonly maxBufferedBody?: number
}

/**
 * Gives the handlers of the routes it is provided to their `Term`, and takes `NotLeading` from them.
 */
type Middleware<Self, R> = Layer.Layer<
  HttpRouter.Request<"Requires", Term.Term<Self>> | HttpRouter.Request<"Error", Term.NotLeading>,
  never,
  Self | R
>

interface OfElection<Self> {
  readonly election: ElectionClass<Self>
}

/**
 * Forwards what this candidate may not handle: a reverse proxy to the leader. Bodies stream both ways; `X-Forwarded-For`,
 * `-Host` and `-Proto` are set, hop-by-hop headers are removed, and so is the protocol upgrade that they ask for.
 *
 * The client should neither follow redirects nor decode bodies: on Node `NodeHttpClient.layerUndici`.
 *
 * A body that streams from the own handler, as an Effect `Stream`, and what the handler leaves in its scope, end with the term
 * as the handler itself does, and after it: the lock is not given back before. The scope is closed before an answer of text or
 * bytes is sent.
 *
 * @since 0.1.0
 */
export function layer(options?: Options): Middleware<LeaderElection.LeaderElection, HttpClient.HttpClient>
/**
 * @since 0.1.0
 */
export function layer<Self>(options: Options & OfElection<Self>): Middleware<Self, HttpClient.HttpClient>
export function layer<Self>(
  options: Options & Partial<OfElection<Self>> = {}
): Middleware<Self, HttpClient.HttpClient> | Middleware<LeaderElection.LeaderElection, HttpClient.HttpClient> {
  const courier = Effect.map(HttpClient.HttpClient, (client) =>
    Courier.forwarding(client, options.maxBufferedBody ?? 1_048_576)
  )
  return options.election === undefined
    ? middlewareOf(LeaderElection.LeaderElection, courier, options)
    : middlewareOf(options.election, courier, options)
}

/**
 * Answers 307 with the leader's address instead: for clients that can reach it, and follow redirects.
 *
 * @since 0.1.0
 */
export function layerRedirect(options?: RedirectOptions): Middleware<LeaderElection.LeaderElection, never>
/**
 * @since 0.1.0
 */
export function layerRedirect<Self>(options: RedirectOptions & OfElection<Self>): Middleware<Self, never>
export function layerRedirect<Self>(
  options: RedirectOptions & Partial<OfElection<Self>> = {}
): Middleware<Self, never> | Middleware<LeaderElection.LeaderElection, never> {
  const courier = Effect.succeed(Courier.redirecting)
  return options.election === undefined
    ? middlewareOf(LeaderElection.LeaderElection, courier, options)
    : middlewareOf(options.election, courier, options)
}

/**
 * Gives the lock back as the first thing of an orderly end, while this candidate still answers: what reaches it from then on
 * goes to the next leader. Put it among the routes. Without it the server ends first, and for as long nobody takes requests.
 * A term that begins while the server closes is given back too.
 *
 * Handlers that run in the term at that moment are interrupted: their clients are told as in the table above. The
 * handover does not wait for work that has outlived its lease. The program does, as for any fiber that cannot be interrupted:
 * let `onOverrun` end the process. Before that the work has `drainTimeout`, and what is left of the lease: together less than
 * the grace period of the pod. The lock is given back even with `releaseOnShutdown: false`, as by `resign`.
 *
 * ```ts
 * import { LeaderForwarding, LeaderHealth } from "@effect-leader/http"
 * import { Layer } from "effect"
 *
 * export const Routes = Layer.merge(LeaderHealth.layer(), LeaderForwarding.layerHandover())
 * ```
 *
 * @since 0.1.0
 */
export function layerHandover(): Layer.Layer<never, never, LeaderElection.LeaderElection>
/**
 * @since 0.1.0
 */
export function layerHandover<Self>(options: OfElection<Self>): Layer.Layer<never, never, Self>
export function layerHandover<Self>(
  options: Partial<OfElection<Self>> = {}
): Layer.Layer<never, never, Self> | Layer.Layer<never, never, LeaderElection.LeaderElection> {
  return options.election === undefined ? handoverOf(LeaderElection.LeaderElection) : handoverOf(options.election)
}

const handoverOf = <Self>(service: ElectionClass<Self>): Layer.Layer<never, never, Self> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const election = yield* service
      const scope = yield* Effect.scope
      const overrun = Whereabouts.until(election, (it) => it._tag === "Draining" && it.overrun)
      const giveBack = Effect.raceFirst(election.resign, overrun)
      // A candidate that ends may still win: another goes, or there is no other.
      const giveBackAgain = Stream.runForEach(SubscriptionRef.changes(election.leadership), (it) =>
        it._tag === "Leading" ? giveBack : Effect.void
      )
      yield* BeforeClose.run(Effect.andThen(giveBack, Effect.forkIn(giveBackAgain, scope)))
    })
  )

const middlewareOf = <Self, R>(
  service: ElectionClass<Self>,
  makeCourier: Effect.Effect<Courier.Courier, never, R>,
  { waitLimit = "5 seconds" }: RedirectOptions
): Middleware<Self, R> =>
  HttpRouter.middleware<{ provides: Term.Term<Self>; handles: Term.NotLeading }>()(
    Effect.gen(function* () {
      const election = yield* service
      const courier = yield* makeCourier
      const patience = Duration.toNanosUnsafe(waitLimit)
      const lastAnswers = yield* closeConnections
      return Effect.fnUntraced(
        function* (handled) {
          const request = yield* HttpServerRequest
          // By the leader too: whether it is answered must not depend on who is asked.
          if (!Forwarding.keepsItsPath(request)) return unclearPath
          if (RequestBody.isUnreadable(request)) return unreadableBody
          const by = { identity: election.identity, election: election.name }
          const errand = { request, isIdempotent: Attempt.mayRepeat(request), by }
          const delivery = courier(errand)
          // Whoever forwarded it looks again, and tells its client.
          const giveUpAt =
            (yield* Clock.monotonicTimeNanos) + (Forwarding.wasForwarded(request, by.election) ? 0n : patience)
          let doubt: Attempt.Missed | undefined
          let doubts = 0
          while (true) {
            const leadership = yield* SubscriptionRef.get(election.leadership)
            const where = Whereabouts.of(election, leadership, request)
            const attempt =
              where._tag === "Here"
                ? yield* Effect.provideService(
                    OwnTerm.handle(
                      where.term,
                      errand,
                      Effect.provideService(handled, HttpServerRequest, delivery.request())
                    ),
                    service.Term,
                    where.term
                  )
                : where._tag === "There"
                  ? yield* delivery.to({ ...where, over: Whereabouts.leadsNoMore(election, where.leader) })
                  : where
            if (attempt._tag === "Answered") return attempt.response
            if (attempt._tag === "InDoubt") {
              doubt = attempt
              doubts += 1
            }
            const left = giveUpAt - (yield* Clock.monotonicTimeNanos)
            if (!attempt.canRepeat || left <= 0n) return Attempt.refusal(doubt ?? attempt, errand.isIdempotent)
            // A leader that stays may do it each time, and break each time.
            const pause = attempt._tag === "InDoubt" ? Duration.times(shortestPause, 2 ** (doubts - 1)) : shortestPause
            const rest = Duration.min(Duration.nanos(left), pause)
            yield* Effect.timeoutOption(
              Whereabouts.until(election, (it) => it !== leadership),
              rest
            )
          }
        },
        lastAnswers,
        Effect.onInterrupt(() => markInDoubt)
      )
    })
  ).layer

const unclearPath = HttpServerResponse.text(
  "The path has a segment '.' or '..', a backslash or a fragment, which would not reach the leader as it is.\n",
  { status: 400 }
)

/** Followers keep their connections. A server that closes would wait for what still comes over them. */
const closeConnections = Effect.gen(function* () {
  let isClosing = false
  yield* BeforeClose.run(
    Effect.sync(() => {
      isClosing = true
    })
  )
  return Effect.map((response: HttpServerResponse.HttpServerResponse) =>
    isClosing ? HttpServerResponse.setHeader(response, "connection", "close") : response
  )
})

const unreadableBody = HttpServerResponse.text("A WebSocket handshake with a body: nobody would read it.\n", {
  status: 400
})

/** A request that the server cuts off when it closes is answered by the server, with an empty 503. */
const markInDoubt = HttpEffect.appendPreResponseHandler((_request, response) =>
  Effect.succeed(HttpServerResponse.setHeader(response, Attempt.outcomeHeader, Attempt.inDoubt))
)

/** Between two attempts, unless leadership changes. */
const shortestPause = Duration.millis(200)
