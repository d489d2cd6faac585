/**
 * A request whose body was read, to be sent elsewhere, as a handler here gets it after all: the body comes from what was
 * kept, and everything else is the request's own.
 */
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Inspectable from "effect/Inspectable"
import * as Stream from "effect/Stream"

export const make = (
  request: HttpServerRequest.HttpServerRequest,
  body: ArrayBuffer
): HttpServerRequest.HttpServerRequest => {
  const { cookies, headers, method, originalUrl, peerAddress, protocol, remoteAddress, source, upgrade, url } = request
  const type = headers["content-type"]
  /** Only its body is used, which is unread each time. */
  const reader = () =>
    HttpServerRequest.fromWeb(
      new Request("http://kept", { method: "POST", body, headers: type === undefined ? {} : { "content-type": type } })
    )
  return {
    [HttpServerRequest.TypeId]: HttpServerRequest.TypeId,
    [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId,
    source,
    url,
    originalUrl,
    method,
    headers,
    cookies,
    remoteAddress,
    peerAddress,
    protocol,
    upgrade,
    upgradeWith: (options) => request.upgradeWith(options),
    modify: (options) => make(request.modify(options), body),
    text: Effect.suspend(() => reader().text),
    json: Effect.suspend(() => reader().json),
    urlParamsBody: Effect.suspend(() => reader().urlParamsBody),
    arrayBuffer: Effect.suspend(() => reader().arrayBuffer),
    stream: Stream.suspend(() => reader().stream),
    multipart: Effect.suspend(() => reader().multipart),
    multipartStream: Stream.suspend(() => reader().multipartStream),
    toJSON: () => request.toJSON(),
    toString: () => request.toString(),
    [Inspectable.NodeInspectSymbol]: () => request[Inspectable.NodeInspectSymbol]()
  }
}
