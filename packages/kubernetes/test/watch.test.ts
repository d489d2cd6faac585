import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ServerResponse } from "node:http"
import { reasonOf, taking } from "./EmbeddedLock.ts"
import { answering, happening, lease, reports, sendJson, status, type Handler } from "./OddServer.ts"

const event = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

/** A watch that sends these chunks, one at a time, and then does what `then` says. */
const sending =
  (
    chunks: ReadonlyArray<string | Uint8Array>,
    then: (response: ServerResponse) => void = (response) => response.end()
  ): Handler =>
  (_, response) => {
    response.writeHead(200, { "content-type": "application/json;stream=watch" }).flushHeaders()
    const left = [...chunks]
    const next = () => {
      const chunk = left.shift()
      if (chunk === undefined) return then(response)
      response.write(chunk, () => setImmediate(next))
    }
    next()
  }

const keepOpen = () => {}

const bytewise = (text: string) => [...Buffer.from(text)].map((byte) => Uint8Array.of(byte))

const absent = { record: Option.none(), version: "absent", fence: 0n }

describe("the lines of a watch", () => {
  it.live("may be split at any byte, also within a character", () =>
    Effect.gen(function* () {
      const text =
        event("ADDED", lease("5")) +
        event("MODIFIED", lease("6")) +
        event("BOOKMARK", { ...lease("9"), metadata: { resourceVersion: "9" } })
      const { client } = yield* answering(sending(bytewise(text)))
      const events = yield* Stream.runCollect(client.watch(reports))
      assert.deepStrictEqual(
        events.map(({ object, type }) => [type, object.metadata.resourceVersion]),
        [
          ["ADDED", "5"],
          ["MODIFIED", "6"],
          ["BOOKMARK", "9"]
        ]
      )
      assert.deepStrictEqual(events[0]?.object, lease("5"))
    })
  )

  it.live("may come many at once, with empty ones between, and the last without an end", () =>
    Effect.gen(function* () {
      const text = `\n${event("ADDED", lease("5"))}\n\r\n${event("MODIFIED", lease("6"))}${event("DELETED", lease("7")).trim()}`
      const { client } = yield* answering(sending([text]))
      const events = yield* Stream.runCollect(client.watch(reports))
      assert.deepStrictEqual(
        events.map(({ type }) => type),
        ["ADDED", "MODIFIED", "DELETED"]
      )
    })
  )

  it.live.each<[string, Handler, string]>([
    [
      "a line that is no JSON",
      sending([event("ADDED", lease("5")), "<html>\n"]),
      "a line of the watch is no event: <html>"
    ],
    ["a line that was cut", sending([event("ADDED", lease("5")).slice(0, 40)]), "a line of the watch is no event"],
    ["an event of an unknown type", sending([event("EXPLODED", lease("5"))]), "a line of the watch is no event"],
    ["an event without an object", sending([`{"type":"ADDED"}\n`]), "a line of the watch is no event"],
    [
      "an event of another kind",
      sending([event("ADDED", lease("5", { kind: "Pod" }))]),
      "the watch of Lease sent a Pod"
    ],
    [
      "a page in place of a watch",
      (_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>Sign in</html>"),
      "the watch answered with <html>Sign in"
    ],
    [
      "an error in the stream",
      sending([event("ERROR", status(500, "InternalError", "etcd is gone"))]),
      "500 InternalError: etcd is gone"
    ],
    [
      "410 in the stream",
      sending([event("ERROR", status(410, "Expired", "too old resource version: 5 (99)"))]),
      "watch history expired: read again"
    ],
    [
      "410 as status",
      (_, response) => sendJson(response, 410, status(410, "Expired", "too old")),
      "watch history expired: read again"
    ],
    ["a reset", sending([event("ADDED", lease("5"))], (response) => response.destroy()), "no answer"],
    [
      "an error in the stream in no words of Kubernetes",
      sending([event("ERROR", { message: "no" })]),
      `{"message":"no"}`
    ],
    ["an end right after the beginning", sending([]), "ended the watch as soon as it began"],
    ["an end right after a bookmark", sending([event("BOOKMARK", lease("9"))]), "ended the watch as soon as it began"]
  ])("%s fails the changes of a lock, once", ([, handler, said]) =>
    Effect.gen(function* () {
      let requests = 0
      const { lock } = yield* answering((request, response) => {
        requests += 1
        handler(request, response)
      })
      const reason = yield* reasonOf(Stream.runDrain(lock.changes(absent)))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, said)
      assert.strictEqual(requests, 1)
    })
  )

  it.live("a watch that tells the same again and ends is not asked again and again", () =>
    Effect.gen(function* () {
      let requests = 0
      const { lock } = yield* answering((request, response) => {
        requests += 1
        sending([event("ADDED", lease("5"))])(request, response)
      })
      const reason = yield* reasonOf(Stream.runDrain(lock.changes(absent)))
      assert.include(reason.detail, "ended the watch as soon as it began")
      assert.strictEqual(requests, 2)
    })
  )

  it.live("a Lease in an event that cannot be read is named by its field", () =>
    Effect.gen(function* () {
      const { lock } = yield* answering(sending([event("ADDED", { ...lease("5"), spec: [] })], keepOpen))
      const reason = yield* reasonOf(Stream.runDrain(lock.changes(absent)))
      assert.strictEqual(reason._tag, "Malformed")
      assert.include(reason.detail, "spec: ")
    })
  )

  it.live("no object of another name or namespace is let through", () =>
    Effect.gen(function* () {
      const lines = [
        event("ADDED", lease("5", { metadata: { name: "other" } })),
        event("ADDED", lease("6", { metadata: { namespace: "other" } })),
        event("DELETED", lease("7", { metadata: { name: "other" } })),
        event("ADDED", lease("8"))
      ]
      const { lock } = yield* answering(sending(lines, keepOpen))
      const next = yield* taking(lock.changes(absent))
      assert.strictEqual((yield* next).version, "8")
    })
  )

  it.live("a deletion has the fence it happened at, and a second life its own uid", () =>
    Effect.gen(function* () {
      const lines = [
        event("ADDED", lease("5")),
        event("DELETED", lease("6")),
        event("ADDED", lease("7", { metadata: { uid: "u-2" } }))
      ]
      const { lock } = yield* answering(sending(lines, keepOpen))
      const next = yield* taking(lock.changes(absent))
      assert.include(yield* next, { fence: 5n, uid: "u-1" })
      assert.deepStrictEqual(yield* next, { record: Option.none(), version: "absent", fence: 6n })
      assert.include(yield* next, { fence: 7n, uid: "u-2" })
    })
  )

  it.live("the watch asks for one name, bookmarks, and a time after which the server ends it", () =>
    Effect.gen(function* () {
      const urls: Array<URL> = []
      const { lock } = yield* answering((request, response) => {
        urls.push(new URL(request.url ?? "", "http://x"))
        if (request.url?.endsWith("/reports")) return sendJson(response, 200, lease("41"))
        return sending([event("MODIFIED", lease("42"))], keepOpen)(request, response)
      })
      yield* Effect.flatten(taking(lock.changes(absent)))
      yield* Effect.flatten(taking(lock.changes(yield* lock.read)))
      const asked = urls.map(({ pathname, searchParams }) => [pathname, Object.fromEntries(searchParams)] as const)
      const path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
      const [first, , second] = asked
      assert.strictEqual(first?.[0], path)
      const { timeoutSeconds, ...rest } = first?.[1] ?? {}
      assert.deepStrictEqual(rest, {
        watch: "true",
        fieldSelector: "metadata.name=reports",
        allowWatchBookmarks: "true"
      })
      assert.isTrue(Number(timeoutSeconds) >= 300 && Number(timeoutSeconds) <= 600)
      assert.strictEqual(second?.[1]["resourceVersion"], "41")
    })
  )
})

describe("a watch that is silent", () => {
  it.live.each<[string, Handler]>([
    ["from the beginning", keepOpen],
    ["after its head", sending([], keepOpen)],
    ["after an event", sending([event("ADDED", lease("5"))], keepOpen)],
    [
      "in the middle of a page",
      (_, response) => void response.writeHead(200, { "content-type": "text/html" }).write("<html>")
    ]
  ])("%s fails after the idle limit, and its connection is closed", ([, handler]) =>
    Effect.gen(function* () {
      const closed = happening()
      const { client } = yield* answering((request, response) => {
        request.socket.once("close", () => closed.tell())
        handler(request, response)
      })
      const error = yield* Effect.flip(Stream.runDrain(client.watch(reports, { idleLimit: "100 millis" })))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.include(error.message, "the watch was silent for 100ms")
      yield* closed.told
    })
  )

  it.live("goes on as long as bytes come, even if no line is complete", () =>
    Effect.gen(function* () {
      const { client } = yield* answering((_, response) => {
        response.writeHead(200, { "content-type": "application/json" })
        const bytes =
          Buffer.from(event("ADDED", lease("5")))
            .toString()
            .match(/.{1,40}/gs) ?? []
        const timer = setInterval(() => {
          const piece = bytes.shift()
          if (piece !== undefined) return void response.write(piece)
          clearInterval(timer)
          response.end()
        }, 250)
      })
      const events = yield* Stream.runCollect(client.watch(reports, { idleLimit: "1 second" }))
      assert.strictEqual(events.length, 1)
    })
  )
})
