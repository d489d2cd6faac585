/** Locks on an embedded API server of the test's own, to fail as the test wants. */
import { LeaseLock } from "@effect-leader/core"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import { KubernetesClient, KubernetesLock } from "../src/index.ts"
import { temporaryFolder } from "./EmbeddedCluster.ts"

export const startServer = Effect.fnUntraced(function* (options: EmbeddedApiServer.Options = {}) {
  const context = yield* Layer.build(EmbeddedApiServer.layer(options))
  return yield* Effect.provide(EmbeddedApiServer.EmbeddedApiServer, context)
})

type Server = EmbeddedApiServer.EmbeddedApiServer["Service"]

export const writeKubeconfig = Effect.fnUntraced(function* (server: Server, token?: string) {
  const path = join(yield* temporaryFolder, "config")
  yield* server.writeKubeconfig(path, token)
  return path
})

export const lockOn = Effect.fnUntraced(function* (server: Server) {
  return yield* lockBy(yield* writeKubeconfig(server))
})

export const lockBy = Effect.fnUntraced(function* (kubeconfig: string) {
  const layer = KubernetesLock.layerLease({ name: "reports" }).pipe(
    Layer.provide(KubernetesClient.layerKubeConfig(kubeconfig))
  )
  return yield* Effect.provide(LeaseLock.LeaseLock, yield* Layer.build(layer))
})

/** A record that differs from every other. */
export const record = (holder: string): LeaseLock.LeaseRecord => {
  millis += 1
  return {
    holder: Option.some(holder),
    leaseDuration: Duration.seconds(15),
    acquiredAt: DateTime.makeUnsafe(0),
    renewedAt: DateTime.makeUnsafe(millis),
    transitions: 0
  }
}
let millis = 0

export const reasonOf = <A>(effect: Effect.Effect<A, LeaseLock.LockError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** Takes what a stream brings, one after another; fails as the stream fails. */
export const taking = Effect.fnUntraced(function* <A, E>(stream: Stream.Stream<A, E>) {
  const seen = yield* Queue.unbounded<A, E>()
  yield* stream.pipe(
    Stream.runForEach((value) => Queue.offer(seen, value)),
    Effect.catch((error) => Queue.fail(seen, error)),
    Effect.forkScoped
  )
  return Queue.take(seen).pipe(
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.die("nothing came") })
  )
})

/** Waits until something holds; a test that waits in vain ends by its own timeout. */
export const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (holds) =>
    holds ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))
  )

export const countOf = (server: Server, method: string) =>
  Effect.map(server.requests, (requests) => requests.filter((request) => request.method === method).length)

export const watchIsOpen = (server: Server, count = 1) =>
  until(
    Effect.map(
      server.requests,
      (requests) =>
        requests.filter(({ query, status }) => query["watch"] === "true" && Option.isSome(status)).length >= count
    )
  )
