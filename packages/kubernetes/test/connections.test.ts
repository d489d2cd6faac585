import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { rootCertificates } from "node:tls"
import { KubernetesClient } from "../src/index.ts"
import { lockBy, record, startServer, until } from "./EmbeddedLock.ts"
import {
  answering,
  connect,
  happening,
  kubeconfigOf,
  lease,
  listening,
  portOf,
  reports,
  sendJson,
  serve,
  writeConfig,
  type Handler
} from "./OddServer.ts"

describe("an interrupted request is aborted on its socket", () => {
  it.live.each<[string, Handler]>([
    ["before the answer", () => {}],
    [
      "in the middle of the body",
      (_, response) => void response.writeHead(200, { "content-type": "application/json" }).write("{")
    ]
  ])("%s", ([, handler]) =>
    Effect.gen(function* () {
      const arrived = happening()
      const closed = happening()
      const { client } = yield* answering((request, response) => {
        request.socket.once("close", () => closed.tell())
        handler(request, response)
        arrived.tell()
      })
      for (const asking of [
        client.get(reports),
        client.update(reports, lease("1")),
        Stream.runDrain(client.watch(reports))
      ]) {
        const fiber = yield* Effect.forkChild(asking, { startImmediately: true })
        yield* arrived.told
        yield* Effect.sleep("20 millis")
        yield* Fiber.interrupt(fiber)
        yield* closed.told
      }
    })
  )

  it.live("when its caller's timeout is over", () =>
    Effect.gen(function* () {
      const closed = happening()
      const { lock } = yield* answering((request) => void request.socket.once("close", () => closed.tell()))
      // Long enough for the request to be on its way, however busy the machine is.
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(lock.read, "2 seconds")))
      yield* closed.told
    })
  )

  it.live("when a watch is read no further", () =>
    Effect.gen(function* () {
      const closed = happening()
      const { client } = yield* answering((request, response) => {
        request.socket.once("close", () => closed.tell())
        response.writeHead(200, { "content-type": "application/json" })
        response.write(`${JSON.stringify({ type: "ADDED", object: lease("1") })}\n`)
      })
      yield* client.watch(reports).pipe(Stream.take(1), Stream.runDrain)
      yield* closed.told
    })
  )
})

/** Between client and server, and able to swallow every byte of the connections that exist, as a broken network does. */
const blackHole = Effect.fnUntraced(function* (to: number) {
  const pairs: Array<readonly [Net.Socket, Net.Socket]> = []
  const proxy = Net.createServer((client) => {
    const server = Net.connect(to, "127.0.0.1")
    pairs.push([client, server])
    client.on("error", () => server.destroy())
    server.on("error", () => client.destroy())
    client.pipe(server).pipe(client)
  })
  yield* listening(proxy)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const [client, server] of pairs) {
        client.destroy()
        server.destroy()
      }
    })
  )
  const swallow = Effect.sync(() => {
    for (const [client, server] of pairs) {
      client.unpipe(server)
      server.unpipe(client)
      client.pause()
    }
  })
  return { port: portOf(proxy), swallow }
})

describe("connections", () => {
  it.live("that go nowhere cost one timed-out request each, then a new one is made", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const network = yield* blackHole(Number(new URL(server.url).port))
      const { lock } = yield* connect(
        kubeconfigOf(
          { server: `http://127.0.0.1:${network.port}`, "insecure-skip-tls-verify": true },
          { token: "admin" }
        )
      )
      let held = yield* lock.write(yield* lock.read, record("a"))
      yield* network.swallow
      let failures = 0
      for (let written = 0; written < 3;) {
        const answer = yield* lock.write(held, record("a")).pipe(Effect.timeoutOption("2 seconds"))
        if (Option.isNone(answer)) {
          failures += 1
        } else {
          held = answer.value
          written += 1
        }
      }
      assert.strictEqual(failures, 1)
    })
  )

  it.live("a request is not traced, though the call is", () =>
    Effect.gen(function* () {
      const headers: Array<Http.IncomingHttpHeaders> = []
      const { client } = yield* answering((request, response) => {
        headers.push(request.headers)
        sendJson(response, 200, lease("1"))
      })
      yield* client.get(reports).pipe(Effect.withSpan("test"))
      yield* client.get(reports).pipe(Effect.provideService(KubernetesClient.UserAgent, "my-program/2"))
      assert.isUndefined(headers[0]?.["traceparent"])
      assert.deepInclude(headers[0], { accept: "application/json", "user-agent": "effect-leader" })
      assert.deepInclude(headers[1], { "user-agent": "my-program/2" })
    })
  )

  it.live("keep the path of a server that has one", () =>
    Effect.gen(function* () {
      const paths: Array<string | undefined> = []
      const server = yield* serve((request, response) => {
        paths.push(request.url)
        sendJson(response, 200, lease("1"))
      })
      const { client } = yield* connect(
        kubeconfigOf({ server: `${server}/k8s/clusters/c-1/`, "insecure-skip-tls-verify": true })
      )
      yield* client.get(reports)
      assert.deepStrictEqual(paths, ["/k8s/clusters/c-1/apis/coordination.k8s.io/v1/namespaces/default/leases/reports"])
    })
  )

  it.live("trust the certificate authority of the kubeconfig and no other, and its file is read again", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ tls: true })
      const ca = yield* Effect.fromOption(server.ca)
      const file = yield* writeConfig({})
      writeFileSync(file, rootCertificates[0] ?? "")
      const { client } = yield* connect(
        kubeconfigOf({ server: server.url, "certificate-authority": file }, { token: "admin" })
      )
      const error = yield* Effect.flip(client.get(reports))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.include(error.message, "certificate")

      writeFileSync(file, ca)
      yield* server.store.put("leases", "default", { metadata: { name: "reports" } })
      assert.strictEqual((yield* client.get(reports)).metadata.name, "reports")
      const before = yield* server.requests
      yield* client.get(reports)
      assert.strictEqual((yield* server.requests).at(-1)?.connection, before.at(-1)?.connection)
    })
  )

  it.live("insecure-skip-tls-verify trusts any certificate", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ tls: true })
      yield* server.store.put("leases", "default", { metadata: { name: "reports" } })
      const { client } = yield* connect(
        kubeconfigOf({ server: server.url, "insecure-skip-tls-verify": true }, { token: "admin" })
      )
      assert.strictEqual((yield* client.get(reports)).metadata.name, "reports")
    })
  )

  it.live("go through the proxy of the kubeconfig, and a watch does not block it", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ tls: true })
      const tunnels: Array<string | undefined> = []
      const proxy = Http.createServer()
      proxy.on("connect", (request, client: Net.Socket) => {
        tunnels.push(request.headers["proxy-authorization"])
        const upstream = Net.connect(Number(new URL(server.url).port), "127.0.0.1", () => {
          client.write("HTTP/1.1 200 OK\r\n\r\n")
          upstream.pipe(client).pipe(upstream)
        })
        client.on("error", () => upstream.destroy())
        upstream.on("error", () => client.destroy())
      })
      yield* listening(proxy)
      const config = JSON.parse(server.kubeconfig())
      config.clusters[0].cluster["proxy-url"] = `http://user:pass@127.0.0.1:${portOf(proxy)}`
      const lock = yield* lockBy(yield* writeConfig(config))
      let held = yield* lock.write(yield* lock.read, record("a"))
      yield* Effect.forkScoped(Stream.runDrain(lock.changes(held)))
      for (let i = 0; i < 5; i++) held = yield* lock.write(held, record("a"))
      assert.strictEqual(tunnels.length, 2)
      assert.strictEqual(tunnels[0], `Basic ${Buffer.from("user:pass").toString("base64")}`)
    })
  )

  it.live("end with the layer", () =>
    Effect.gen(function* () {
      const server = Http.createServer((_, response) => sendJson(response, 200, lease("1")))
      // None is closed from here.
      server.keepAliveTimeout = 0
      const url = `http://127.0.0.1:${portOf(yield* listening(server))}`
      const open = Effect.callback<number>((resume) => {
        server.getConnections((error, count) => resume(error === null ? Effect.succeed(count) : Effect.die(error)))
      })
      const kubeconfig = yield* writeConfig(kubeconfigOf({ server: url, "insecure-skip-tls-verify": true }))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lock = yield* lockBy(kubeconfig)
          yield* lock.read
          assert.isAtLeast(yield* open, 1)
        })
      )
      yield* until(Effect.map(open, (count) => count === 0))
    })
  )

  it.live("that are still being made end with the layer", () =>
    Effect.gen(function* () {
      const closed = happening()
      const mute = yield* listening(
        Net.createServer(
          (socket) =>
            void socket
              .resume()
              .on("error", () => {})
              .once("close", closed.tell)
        )
      )
      const kubeconfig = yield* writeConfig(kubeconfigOf({ server: `https://127.0.0.1:${portOf(mute)}` }))
      const request = Effect.flatMap(lockBy(kubeconfig), (lock) => Effect.timeoutOption(lock.read, "200 millis"))
      yield* Effect.scoped(request)
      // Well before the 5 seconds that connecting may take.
      yield* Effect.timeout(closed.told, "2 seconds")
    })
  )
})
