/**
 * The program as a process of its own, on an embedded API server.
 */
import { LeaderStatus } from "@effect-leader/http"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Schedule } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"

/** An address of this machine on which 8080 is free: no other process has this id. */
const own = `127.94.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`

describe("the program", () => {
  it.live("publishes the port that it listens at when nothing says which", () =>
    Effect.gen(function* () {
      const server = yield* EmbeddedApiServer.EmbeddedApiServer
      const files = yield* FileSystem.FileSystem
      const kubeconfig = `${yield* files.makeTempDirectoryScoped()}/config`
      yield* server.writeKubeconfig(kubeconfig)
      yield* ChildProcess.make(process.execPath, [fileURLToPath(new URL("../src/main.ts", import.meta.url))], {
        env: { KUBECONFIG: kubeconfig, POD_NAME: "a", POD_IP: own, HOST: own },
        extendEnv: false,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
        forceKillAfter: "1 second"
      })
      const leader = HttpClientRequest.get(`http://${own}:8080/status`).pipe(
        HttpClientRequest.acceptJson,
        HttpClient.execute,
        Effect.flatMap(HttpClientResponse.schemaBodyJson(LeaderStatus.Status)),
        Effect.flatMap(({ leader }) => Effect.fromNullishOr(leader)),
        Effect.retry(Schedule.spaced("50 millis"))
      )
      assert.strictEqual((yield* leader).address, `${own}:8080`)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(EmbeddedApiServer.layer({ users: "anyone" }), NodeServices.layer, NodeHttpClient.layerUndici)
      )
    )
  )
})
