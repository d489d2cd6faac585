/**
 * The wire in front of the proxy's HTTPS server: every connection of a client is passed on, byte by byte, to the server's
 * own port. Here a connection can be stopped, as by a network that loses everything, or reset, without the server or the
 * client having a part in it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Listening from "./Listening.ts"

export type Mode = "Open" | "Silent" | "Reset"

export interface Wire {
  /** Where clients connect. */
  readonly port: number
  readonly setMode: (mode: Mode) => void
  /** Resets all connections. */
  readonly resetAll: () => void
  /** Resets the connection that the server knows by its remote port. */
  readonly reset: (remotePort: number | undefined) => void
  readonly connections: () => { readonly made: number; readonly open: number }
}

interface Line {
  readonly client: Net.Socket
  readonly server: Net.Socket
}

export const make = (options: {
  readonly port: number
  readonly serverPort: number
}): Effect.Effect<Wire, Listening.ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const lines = new Set<Line>()
    let mode: Mode = "Open"
    let made = 0

    const resetLine = ({ client, server }: Line) => {
      client.resetAndDestroy()
      server.destroy()
    }

    const onConnection = (client: Net.Socket) => {
      made++
      if (mode === "Reset") {
        client.resetAndDestroy()
        return
      }
      const server = Net.connect({ port: options.serverPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
      const line: Line = { client, server }
      lines.add(line)
      pump(client, server)
      pump(server, client)
      for (const [one, other] of [
        [client, server],
        [server, client]
      ] as const) {
        one.on("error", () => resetLine(line))
        one.once("close", () => {
          lines.delete(line)
          other.destroy()
        })
      }
    }

    const pump = (from: Net.Socket, to: Net.Socket) => {
      from.on("data", (chunk) => {
        if (to.write(chunk)) return
        from.pause()
        to.once("drain", () => flow(from))
      })
      from.once("end", () => to.end())
      flow(from)
    }
    const flow = (socket: Net.Socket) => {
      if (mode === "Open") socket.resume()
      else socket.pause()
    }

    const resetAll = () => {
      for (const line of lines) resetLine(line)
    }

    const listener = Net.createServer({ allowHalfOpen: true, noDelay: true }, onConnection)
    yield* Effect.addFinalizer(() => Effect.sync(resetAll))
    const port = yield* Listening.listen(listener, options.port)
    return {
      port,
      resetAll,
      setMode: (next) => {
        mode = next
        if (mode === "Reset") resetAll()
        for (const { client, server } of lines) {
          flow(client)
          flow(server)
        }
      },
      reset: (remotePort) => {
        for (const line of lines) if (line.server.localPort === remotePort) resetLine(line)
      },
      connections: () => ({ made, open: lines.size })
    }
  })
