/**
 * The way to PostgreSQL. A connection that goes dead, as when the server's machine loses its power, is closed by nobody: the
 * client would keep it, with the place in the pool that it has, for as long as the operating system sends again.
 */
import { Duration, Redacted } from "effect"
import { connect, type Socket } from "node:net"

/** A server that is there speaks sooner, if only to say that a statement took too long. An idle connection is opened anew. */
const longestSilence = Duration.seconds(12)

export const open = (url: Redacted.Redacted): Socket => {
  const { hostname, port, searchParams } = new URL(Redacted.value(url))
  const host = searchParams.get("host") ?? decodeURIComponent(hostname.replace(/^\[(.*)\]$/, "$1"))
  const number = Number(searchParams.get("port") ?? (port || 5432))
  const socket = host.startsWith("/")
    ? connect({ path: `${host}/.s.PGSQL.${number}` })
    : connect({ host: host || "localhost", port: number, noDelay: true })
  const silence = `nothing came for ${Duration.format(longestSilence)}`
  return socket.setTimeout(Duration.toMillis(longestSilence), () => socket.destroy(new Error(silence)))
}
