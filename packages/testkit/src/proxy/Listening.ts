/**
 * A server that listens on a port of 127.0.0.1 for as long as a scope.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Server } from "node:net"

/**
 * The proxy cannot listen, for instance because its port is taken.
 *
 * @since 0.1.0
 */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  port: Schema.Number,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the fault proxy cannot listen on 127.0.0.1:${this.port}: ${String(this.cause)}`
  }
}

/** Returns the port, which the system chooses if it is 0. At the end of the scope new connections are refused. */
export const listen = (server: Server, port: number): Effect.Effect<number, ListenError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<void, ListenError>((resume) => {
      const refused = (cause: Error) => resume(Effect.fail(new ListenError({ port, cause })))
      server.once("error", refused)
      server.listen({ port, host: "127.0.0.1" }, () => {
        server.off("error", refused)
        resume(Effect.void)
      })
    }),
    () => Effect.sync(() => server.close())
  ).pipe(
    Effect.map(() => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : port
    })
  )
