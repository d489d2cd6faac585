/**
 * The server behind a proxy: requests are sent as they came, but for the headers that are about one connection only.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"

export interface Options {
  readonly url: string
  /** PEM; the authorities that Node trusts if not given. */
  readonly ca?: string
}

/** The server cannot be reached, or a connection broke, be it the client's. */
export class ConnectionError extends Schema.TaggedError<ConnectionError>()("ConnectionError", {
  cause: Schema.Defect()
}) {}

/** A request that has come in whole. */
export interface Whole {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface Upstream {
  /** Returns when the answer begins. The end of the scope takes the request back, if the answer has not come in whole. */
  readonly send: (request: Whole) => Effect.Effect<Http.IncomingMessage, ConnectionError, Scope.Scope>
}

export const make = (options: Options): Effect.Effect<Upstream, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { hostname, pathname, port, protocol } = new URL(options.url)
    const isSecure = protocol === "https:"
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() =>
        isSecure ? new Https.Agent({ keepAlive: true, ca: options.ca }) : new Http.Agent({ keepAlive: true })
      ),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const open = isSecure ? Https.request : Http.request
    return {
      send: Effect.fnUntraced(function* ({ body, headers, method, path }) {
        const request = yield* Effect.acquireRelease(
          Effect.sync(() =>
            open({
              agent,
              hostname,
              port,
              method,
              path: pathname.replace(/\/$/, "") + path,
              headers: { ...without(ofOneRequest, headers), "content-length": body.length }
            })
          ),
          (request) => Effect.sync(() => request.destroy())
        )
        return yield* Effect.callback<Http.IncomingMessage, ConnectionError>((resume) => {
          request.once("response", (answer) => resume(Effect.succeed(answer)))
          // For as long as it lives: an error that nobody hears of any more would end this process.
          request.on("error", (cause) => resume(Effect.fail(new ConnectionError({ cause }))))
          request.end(body)
        })
      })
    }
  })

const ofOneConnection = ["connection", "keep-alive", "transfer-encoding", "upgrade"]
const ofOneRequest = [...ofOneConnection, "host", "content-length", "expect"]

const without = (names: ReadonlyArray<string>, headers: Http.IncomingHttpHeaders): Http.OutgoingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))

/** The headers of an answer, for a connection of the client's own. */
export const forClient = (headers: Http.IncomingHttpHeaders): Http.OutgoingHttpHeaders =>
  without(ofOneConnection, headers)
