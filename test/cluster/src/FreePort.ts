/**
 * Finds a free port for a server that will be stopped and started on it again.
 *
 * The port lies below the range from which the system gives ports to outgoing connections (from 32768 on Linux, 49152
 * elsewhere). Otherwise a client that dials the stopped server again and again is sooner or later given the server's
 * own port, connects to itself, and keeps the server from coming back.
 */
import * as Effect from "effect/Effect"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

const from = 20_000
const below = 30_000

// Random and not counted up, so that several runs on one machine seldom meet.
export const find: Effect.Effect<number> = Effect.suspend(() => isFree(randomInt(from, below))).pipe(
  Effect.repeat({ until: (port) => port !== undefined })
)

const isFree = (port: number) =>
  Effect.callback<number | undefined>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(undefined)))
    server.listen({ port, host: "127.0.0.1" }, () => server.close(() => resume(Effect.succeed(port))))
  })
