/**
 * The sockets: one HTTP or HTTPS server on a loopback port that can be stopped, started again, paused and cut off. Every
 * request is a fiber; when the scope ends, fibers and sockets are gone at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Https from "node:https"
import type { Socket } from "node:net"
import * as ApiFailure from "./ApiFailure.ts"
import type { Call, Reply } from "./ApiHandler.ts"

/**
 * The server cannot listen, for instance because its port is taken.
 *
 * @since 0.1.0
 */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  port: Schema.Number,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the embedded API server cannot listen on 127.0.0.1:${this.port}: ${String(this.cause)}`
  }
}

/** One request with what only the socket knows. */
export interface Exchange extends Call {
  readonly authorization: string | undefined
  /** Numbers the connections in the order of their first request. */
  readonly connection: number
}

export interface HttpListener {
  readonly port: number
  /** Listens again on the same port. */
  readonly start: Effect.Effect<void, ListenError>
  /** Frees the port and cuts every connection. */
  readonly stop: Effect.Effect<void>
  /** From now on nothing is read or written, but connections are still accepted. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly dropConnections: Effect.Effect<void>
}

export interface Settings {
  /** 0: a free one. */
  readonly port: number
  readonly credentials: { readonly key: string; readonly cert: string } | undefined
  /** Called when a request has come. */
  readonly serve: (exchange: Exchange) => Effect.Effect<Reply>
}

export const make = (settings: Settings): Effect.Effect<HttpListener, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    const numbers = new WeakMap<Socket, number>()
    let connections = 0
    const running = yield* Latch.make(true)
    const run = yield* FiberSet.makeRuntime<never, void, never>()

    const numberOf = (socket: Socket): number => {
      const known = numbers.get(socket) ?? ++connections
      numbers.set(socket, known)
      return known
    }

    const onRequest = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      const exchange = exchangeOf(request, numberOf(request.socket))
      const fiber = run(
        running.await.pipe(
          Effect.andThen(settings.serve(exchange)),
          Effect.flatMap((reply) => Effect.andThen(running.await, write(response, reply, running))),
          Effect.catchDefect((defect) =>
            Effect.andThen(
              Effect.logError("the embedded API server failed to answer", defect),
              Effect.sync(() => response.destroy())
            )
          )
        )
      )
      response.once("close", () => fiber.interruptUnsafe())
    }

    const server =
      settings.credentials === undefined
        ? Http.createServer(onRequest)
        : Https.createServer({ ...settings.credentials }, onRequest)
    // As the real server: an idle connection lives for 90 seconds, and none is refused for being slow.
    server.keepAliveTimeout = 90_000
    server.requestTimeout = 0
    server.on("connection", (socket: Socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    })

    const dropConnections = Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
    })
    const stop = Effect.andThen(
      Effect.callback<void>((resume) => {
        if (!server.listening) return resume(Effect.void)
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      }),
      dropConnections
    )
    const listen = (port: number) =>
      Effect.callback<void, ListenError>((resume) => {
        if (server.listening) return resume(Effect.void)
        const refused = (cause: Error) => resume(Effect.fail(new ListenError({ port, cause })))
        server.once("error", refused)
        server.listen({ port, host: "127.0.0.1" }, () => {
          server.off("error", refused)
          resume(Effect.void)
        })
      })

    yield* Effect.acquireRelease(listen(settings.port), () => stop)
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : settings.port
    return {
      port,
      start: listen(port),
      stop,
      pause: Effect.asVoid(running.close),
      resume: Effect.asVoid(running.open),
      dropConnections
    }
  })

const exchangeOf = (request: Http.IncomingMessage, connection: number): Exchange => ({
  method: request.method ?? "GET",
  url: URL.parse(request.url ?? "/", "http://localhost") ?? new URL("http://localhost/"),
  header: (name) => request.headers[name] ?? "",
  authorization: request.headers.authorization,
  connection,
  body: readBody(request)
})

const bodyLimit = 3 * 1024 * 1024

const readBody = (request: Http.IncomingMessage): Effect.Effect<string, ApiFailure.ApiFailure> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    request.on("data", (chunk: Buffer) => {
      size += chunk.length
      // The rest is read and forgotten, so that the client gets to read the answer.
      if (size <= bodyLimit) chunks.push(chunk)
    })
    request.once("end", () =>
      resume(
        size > bodyLimit
          ? Effect.fail(ApiFailure.bodyTooLarge(bodyLimit))
          : Effect.succeed(Buffer.concat(chunks).toString("utf8"))
      )
    )
  })

const write = (response: Http.ServerResponse, reply: Reply, running: Latch.Latch): Effect.Effect<void> => {
  response.setHeader("cache-control", "no-cache, private")
  switch (reply._tag) {
    case "Text":
      return Effect.sync(() => {
        response.writeHead(reply.code, { "content-type": "text/plain; charset=utf-8" }).end(reply.body)
      })
    case "Json":
      return Effect.sync(() => {
        const body = Buffer.from(`${JSON.stringify(reply.body)}\n`)
        const headers = { "content-type": "application/json", "content-length": body.length }
        response.writeHead(reply.code, headers).end(body)
      })
    case "Lines":
      return Effect.suspend(() => {
        response.writeHead(200, { "content-type": "application/json" }).flushHeaders()
        return reply.lines.pipe(
          Stream.runForEachArray((lines) => Effect.andThen(running.await, send(response, lines.join("")))),
          Effect.andThen(running.await),
          Effect.andThen(Effect.sync(() => void response.end()))
        )
      })
  }
}

/** Waits until the client has taken what was written before. */
const send = (response: Http.ServerResponse, text: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (response.write(text)) resume(Effect.void)
    else response.once("drain", () => resume(Effect.void))
  })
