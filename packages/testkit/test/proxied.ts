/**
 * Tests of the fault proxy: each has an embedded server, a proxy before it, and a plain client that knows only the proxy.
 */
import { assert, it } from "@effect/vitest"
import { EmbeddedApiServer, FaultProxy } from "@effect-leader/testkit"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ApiClient from "./ApiClient.ts"

export const Server = EmbeddedApiServer.EmbeddedApiServer

export class Proxied extends Context.Service<
  Proxied,
  {
    readonly proxy: FaultProxy.FaultProxy
    /** Through the proxy. */
    readonly client: ApiClient.ApiClient["Service"]
    /** Another client of the same proxy, with its own connections. */
    readonly anotherClient: Effect.Effect<ApiClient.ApiClient["Service"], never, Scope.Scope>
  }
>()("@effect-leader/testkit/test/Proxied") {}

const make = Effect.gen(function* () {
  const { ca, url } = yield* Server
  const upstream = { url, ...Option.match(ca, { onNone: () => ({}), onSome: (ca) => ({ ca }) }) }
  const proxy = yield* FaultProxy.make({ upstream })
  const anotherClient = ApiClient.make({
    url: proxy.url,
    ca: Option.some(proxy.ca),
    adminToken: "admin",
    limitedToken: "limited"
  })
  return { proxy, anotherClient, client: yield* anotherClient }
})

/** In real time. */
export const proxied = <E>(
  sentence: string,
  test: Effect.Effect<void, E, Proxied | EmbeddedApiServer.EmbeddedApiServer | Scope.Scope>
): void =>
  it.live(sentence, () =>
    Effect.flatMap(make, (service) => Effect.provideService(test, Proxied, service)).pipe(
      Effect.scoped,
      Effect.provide(EmbeddedApiServer.layer({ tls: true }))
    )
  )

/** How long an effect takes, in milliseconds. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const from = yield* Clock.monotonicTimeNanos
    const value = yield* effect
    return { value, millis: Number((yield* Clock.monotonicTimeNanos) - from) / 1e6 }
  })

/** Whether the Lease exists, as the server knows it. */
export const isStored = (name: string) =>
  Effect.flatMap(Server, ({ store }) => Effect.map(store.get("leases", "default", name), Option.isSome))

export const untilStored = (name: string) =>
  isStored(name).pipe(Effect.delay("5 millis"), Effect.repeat({ until: (stored) => stored }))

/** Nothing comes of the effect within a short time. */
export const hangs = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timeoutOption(effect, "150 millis"), (answer) => assert.isTrue(Option.isNone(answer)))

/** It fails with a connection that broke. */
export const breaks = <A, R>(effect: Effect.Effect<A, Error, R>) =>
  Effect.map(Effect.flip(effect), (error) => assert.strictEqual("code" in error && error.code, "ECONNRESET"))
