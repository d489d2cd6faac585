/**
 * A page for people: who leads, since when, under which token, what this candidate is, what troubles it, and the last terms.
 * It follows every change without reloading, and says when it is cut off.
 *
 * ```ts
 * import { LeaderElection, LeaseLock } from "@effect-leader/core"
 * import { LeaderStatus } from "@effect-leader/http"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { createServer } from "node:http"
 *
 * export const Main = HttpRouter.serve(LeaderStatus.layer({ path: "/leader" })).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 8080, gracefulShutdownTimeout: "2 seconds" })),
 *   Layer.provide(LeaderElection.layer()),
 *   Layer.provide(LeaseLock.layerMemory())
 * )
 * ```
 *
 * The path answers a `Status` to `Accept: application/json`, and the page to everybody else. The page loads nothing but its
 * own events, which are at `/events` below the path; open pages are let go as soon as the server begins to close.
 *
 * Everybody who can reach the path sees the identities and addresses of the candidates.
 *
 * @since 0.1.0
 */
import { LeaderElection } from "@effect-leader/core"
import * as Digest from "effect/crypto/Digest"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Sse from "effect/encoding/Sse"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as BeforeClose from "./internal/BeforeClose.ts"
import type { ElectionClass } from "./internal/Election.ts"
import * as PageAssets from "./internal/PageAssets.ts"
import * as Resource from "./internal/Resource.ts"
import * as StatusPage from "./internal/StatusPage.ts"
import * as TermLog from "./internal/TermLog.ts"

/**
 * @since 0.1.0
 */
export interface Options {
  /** Where the page is. Default `/`. */
  readonly path?: `/${string}`
}

const Leader = Schema.Struct({
  identity: Schema.String,
  /** Where it can be reached, as `host:port`; absent if it publishes no address. */
  address: Schema.optionalKey(Schema.String),
  /** By the leader's own clock, as the lock says. */
  since: Schema.DateTimeUtcFromString
})

const End = Schema.Literals(["Expired", "Superseded", "LockDeleted", "Resigned", "Shutdown"])

/**
 * How the election stands, as one candidate sees it. In JSON times are ISO 8601 in UTC, and tokens are strings of digits,
 * since a number in JSON may not hold all of them. What is not known is absent.
 *
 * @since 0.1.0
 */
export const Status = Schema.Struct({
  /** The lock's name. */
  election: Schema.String,
  /** Of the candidate that answers. */
  identity: Schema.String,
  /** What that candidate is. */
  role: Schema.Literals(["Standby", "Leading", "Draining", "Stopped"]),
  /** By the clock of the candidate that answers. */
  now: Schema.DateTimeUtcFromString,
  leader: Schema.optionalKey(Leader),
  /** The fencing token of the own term. */
  token: Schema.optionalKey(Schema.BigIntFromString),
  /** Why the own term ends, while it drains. */
  end: Schema.optionalKey(End),
  /** Whether work of the own term has outlived its lease, while it drains. */
  overrun: Schema.optionalKey(Schema.Boolean),
  /** What stands between this candidate and the lock. */
  trouble: Schema.optionalKey(Schema.String),
  /** The last 20, newest first: what this candidate has seen since it started. */
  terms: Schema.Array(
    Schema.Struct({
      ...Leader.fields,
      /** Of an own term. */
      token: Schema.optionalKey(Schema.BigIntFromString),
      /** Absent while it lasts. Of another's term: when this candidate saw its end. */
      until: Schema.optionalKey(Schema.DateTimeUtcFromString),
      /** Why an own term ended. */
      end: Schema.optionalKey(End)
    })
  )
})

/**
 * @since 0.1.0
 */
export type Status = typeof Status.Type

type Routes<Self> = Layer.Layer<never, never, HttpRouter.HttpRouter | Self>

/**
 * Adds the page and its events. `election` names another election than `LeaderElection.LeaderElection`.
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

const routes = <Self>(service: ElectionClass<Self>, { path = "/" }: Options): Routes<Self> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const election = yield* service
      const router = yield* HttpRouter.HttpRouter
      const seen = yield* watch(election)
      const policy = yield* contentPolicy
      const closing = yield* Deferred.make<void>()

      const status = Effect.map(Effect.all([SubscriptionRef.get(seen), DateTime.now]), ([last, now]): Status =>
        statusOf(election, last, now)
      )

      yield* Resource.add(router, path, (request) =>
        Effect.map(status, (it) =>
          Resource.prefersJson(request, "text/html")
            ? HttpServerResponse.jsonUnsafe(encode(it), { headers: { vary: "accept" } })
            : HttpServerResponse.text(StatusPage.page(it).markup, {
                contentType: "text/html; charset=utf-8",
                headers: { vary: "accept", "content-security-policy": policy, "referrer-policy": "no-referrer" }
              })
        )
      )

      const events = Stream.merge(
        Stream.mapEffect(slidingChanges(seen), () => Effect.map(status, (it) => event("page", StatusPage.update(it)))),
        // Tells both ends that the connection still stands.
        Stream.as(Stream.drop(Stream.tick(beat), 1), event("beat", "."))
      ).pipe(Stream.interruptWhen(Deferred.await(closing)), Stream.encodeText)

      yield* Resource.add(router, path === "/" ? "/events" : `${path}/events`, () =>
        Effect.succeed(
          HttpServerResponse.stream(events, {
            contentType: "text/event-stream",
            // A proxy that collects the answer would show nothing. The connection is of no use after it.
            headers: { "x-accel-buffering": "no", connection: "close" }
          })
        )
      )

      yield* BeforeClose.run(Effect.asVoid(Deferred.succeed(closing, undefined)))
    })
  )

/** A page takes three missing beats for a cut. */
const beat = "5 seconds"

const encode = Schema.encodeSync(Status)

const event = (name: string, data: string): string =>
  Sse.encoder.write({ _tag: "Event", event: name, id: undefined, data })

/** A viewer that reads slowly misses what is out of date, and holds up nobody. */
const slidingChanges = <A>(ref: SubscriptionRef.SubscriptionRef<A>): Stream.Stream<A> =>
  Stream.buffer(SubscriptionRef.changes(ref), { capacity: 1, strategy: "sliding" })

interface Seen {
  readonly leadership: LeaderElection.Leadership
  readonly log: TermLog.TermLog
}

/** Follows the election for as long as the routes are there. */
const watch = Effect.fnUntraced(function* <Self>(election: LeaderElection.Election<Self>) {
  const look = Effect.fnUntraced(function* (leadership: LeaderElection.Leadership, log: TermLog.TermLog) {
    const own = Option.filter(yield* election.leader, ({ identity }) => identity === election.identity)
    return { leadership, log: TermLog.next(log, leadership, own, election.identity, yield* DateTime.now) }
  })
  const first: Seen = yield* look(yield* SubscriptionRef.get(election.leadership), [])
  const seen = yield* SubscriptionRef.make(first)
  yield* SubscriptionRef.changes(election.leadership).pipe(
    Stream.runForEach((leadership) => SubscriptionRef.updateEffect(seen, ({ log }) => look(leadership, log))),
    Effect.forkScoped
  )
  return seen
})

const statusOf = <Self>(
  election: LeaderElection.Election<Self>,
  { leadership, log }: Seen,
  now: DateTime.Utc
): Status => {
  const own = "term" in leadership ? leadership.term : undefined
  const leader =
    leadership._tag === "Standby"
      ? Option.getOrUndefined(leadership.leader)
      : log.find(({ token }) => token !== undefined && token === own?.token)?.leader
  return {
    election: election.name,
    identity: election.identity,
    role: leadership._tag,
    now,
    ...(leader === undefined ? {} : { leader }),
    ...(own === undefined ? {} : { token: own.token }),
    ...(leadership._tag === "Draining" ? { end: leadership.end, overrun: leadership.overrun } : {}),
    ...(leadership._tag === "Standby" && Option.isSome(leadership.trouble)
      ? { trouble: leadership.trouble.value.message }
      : {}),
    terms: log.map(({ leader, ...term }) => ({ ...leader, ...term }))
  }
}

/** Nothing but the page's own style, script and events. */
const contentPolicy = Effect.gen(function* () {
  const { digest } = yield* Digest.Digest
  const hashOf = (text: string) =>
    Effect.map(digest(Digest.sha256, new TextEncoder().encode(text)), (hash) => `'sha256-${Base64.encode(hash)}'`)
  return [
    "default-src 'none'",
    `style-src ${yield* hashOf(PageAssets.style)}`,
    `script-src ${yield* hashOf(PageAssets.script)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
}).pipe(Effect.provide(Digest.layerWebCrypto))
