/**
 * A client of candidates that listen on real sockets, and what it takes from an answer.
 */
import { Effect } from "effect"
import * as Http2 from "node:http2"
import { connect } from "node:net"
import type { Answer } from "./Asking.ts"

export const ask = (url: string, init?: RequestInit): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    // A connection that is kept would hold up the end of the server.
    const headers = { connection: "close", ...init?.headers }
    const response = await fetch(url, { redirect: "manual", ...init, headers, signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

/** A request as it is written, which fetch would tidy up first. Returns the whole answer. */
export const askRaw = (address: string, line: string, header = "X-None: 1", body = "", host = "a") =>
  Effect.callback<string>((resume) => {
    const url = new URL(`http://${address}`)
    const socket = connect(Number(url.port), url.hostname)
    let answer = ""
    socket.setEncoding("utf8")
    socket.on("data", (text) => (answer += text))
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", (error) => resume(Effect.die(error)))
    socket.write(`${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${header}\r\n\r\n${body}`)
    return Effect.sync(() => socket.destroy())
  })

/** One request over HTTP/2, on a connection of its own. Returns the status and the body. */
export const askHttp2 = (address: string, method: string, body?: string, scheme = "http") =>
  Effect.callback<string>((resume) => {
    const session = Http2.connect(`http://${address}`)
    const die = (error: unknown) => resume(Effect.die(error))
    session.on("error", die)
    const stream = session.request(
      { ":method": method, ":path": "/x", ":scheme": scheme },
      { endStream: body === undefined }
    )
    let answer = ""
    stream.setEncoding("utf8")
    stream.on("response", (headers) => (answer += `${headers[":status"]} `))
    stream.on("data", (text) => (answer += text))
    stream.on("error", die)
    stream.on("end", () => {
      session.close()
      resume(Effect.succeed(answer))
    })
    if (body !== undefined) stream.end(body)
    return Effect.sync(() => session.destroy())
  })

export const outcome = ({ headers, status }: { readonly status: number; readonly headers: Headers }) => ({
  status,
  outcome: headers.get("effect-leader-outcome"),
  retryAfter: headers.get("retry-after")
})

export const notDone = { status: 503, outcome: "not-done", retryAfter: "1" }
