/**
 * What happens at the sockets, whatever is served over them.
 */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as HttpListener from "../src/apiserver/HttpListener.ts"
import * as ApiClient from "./ApiClient.ts"

it.live("a stream is ended when its client goes away", () =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    const lines = Stream.never.pipe(Stream.ensuring(Deferred.succeed(ended, undefined)))
    const { port } = yield* HttpListener.make({
      port: 0,
      credentials: undefined,
      serve: () => Effect.succeed({ _tag: "Lines", lines })
    })
    const url = `http://127.0.0.1:${port}`
    const client = yield* ApiClient.make({ url, ca: Option.none(), adminToken: "", limitedToken: "" })
    yield* Effect.scoped(client.watch("/"))
    yield* Deferred.await(ended)
  }).pipe(Effect.scoped)
)

it.live("an idle connection is kept for 90 seconds, as kube-apiserver does", () =>
  Effect.gen(function* () {
    const { port } = yield* HttpListener.make({
      port: 0,
      credentials: undefined,
      serve: () => Effect.succeed({ _tag: "Text", code: 200, body: "ok" })
    })
    const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`))
    assert.strictEqual(response.headers.get("keep-alive"), "timeout=90")
  }).pipe(Effect.scoped)
)

it.live("a defect while serving cuts that request off and no other", () =>
  Effect.gen(function* () {
    const { port } = yield* HttpListener.make({
      port: 0,
      credentials: undefined,
      serve: ({ url }) =>
        url.pathname === "/broken"
          ? Effect.die(new Error("broken on purpose"))
          : Effect.succeed({ _tag: "Json", code: 200, body: {} })
    })
    const url = `http://127.0.0.1:${port}`
    const { ask } = yield* ApiClient.make({ url, ca: Option.none(), adminToken: "", limitedToken: "" })
    yield* Effect.flip(ask("GET", "/broken"))
    assert.strictEqual((yield* ask("GET", "/")).status, 200)
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
)
