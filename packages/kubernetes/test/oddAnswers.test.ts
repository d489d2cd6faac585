import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { reasonOf, record } from "./EmbeddedLock.ts"
import { answering, lease, reports, sendJson, status, type Handler } from "./OddServer.ts"

const text =
  (code: number, contentType: string, body: string, headers: object = {}): Handler =>
  (_, response) =>
    response.writeHead(code, { "content-type": contentType, ...headers }).end(body)

const json =
  (code: number, body: unknown, headers: object = {}): Handler =>
  (_, response) =>
    sendJson(response, code, body, headers)

const loginPage = "<!DOCTYPE html>\n<html><title>Sign in</title></html>"

describe("an answer that no API server gives is no answer", () => {
  it.live.each<[string, Handler, string]>([
    ["200 with a login page", text(200, "text/html", loginPage), "<!DOCTYPE html> <html><title>Sign in"],
    ["200 with a login page that claims to be JSON", text(200, "application/json", loginPage), "<!DOCTYPE html>"],
    ["200 with nothing", text(200, "application/json", ""), "an empty body"],
    ["200 with null", json(200, null), "null"],
    ["200 with a list", json(200, []), "[]"],
    ["200 with JSON that is cut", text(200, "application/json", `{"kind":"Lea`), `{"kind":"Lea`],
    ["200 with another kind", json(200, lease("1", { kind: "Pod" })), `"kind":"Pod"`],
    [
      "a redirection to a login",
      text(302, "text/plain", "", { location: "https://login" }),
      "status 302, location https://login"
    ],
    ["a proxy's 400", text(400, "text/html", loginPage), "400: <!DOCTYPE html>"],
    ["a proxy's 401", text(401, "text/html", loginPage), "401: <!DOCTYPE html>"],
    ["a proxy's 403", text(403, "text/html", loginPage), "403: <!DOCTYPE html>"],
    ["a proxy's 407", text(407, "text/html", loginPage), "407: <!DOCTYPE html>"],
    ["a proxy's 409", text(409, "text/html", loginPage), "409: <!DOCTYPE html>"],
    ["a proxy's 422 in JSON of its own", json(422, { error: "no route" }), `422: {"error":"no route"}`],
    ["a gateway's 502", text(502, "text/html", loginPage), "502: <!DOCTYPE html>"],
    ["a gateway's 404", text(404, "text/plain", "404 page not found\n"), "404: 404 page not found"],
    [
      "404 for the kind",
      json(404, status(404, "NotFound", "the server could not find the requested resource")),
      "could not find the requested resource"
    ]
  ])("%s", ([, handler, said]) =>
    Effect.gen(function* () {
      const { lock } = yield* answering(handler)
      for (const reason of [
        yield* reasonOf(lock.read),
        yield* reasonOf(lock.write({ record: yield* Effect.succeedNone, version: "absent", fence: 0n }, record("a")))
      ]) {
        assert.strictEqual(reason._tag, "Unavailable")
        assert.include(reason.detail, said)
        assert.include(reason.detail, `leases.coordination.k8s.io "reports" in namespace "default"`)
      }
    })
  )

  it.live.each<[string, Handler, string]>([
    ["a connection that is reset", (request) => request.socket.destroy(), "no answer"],
    [
      "a body that ends before its length",
      (_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": 1000 })
        response.write(`{"kind":"Lease"`, () => response.destroy())
      },
      "no answer"
    ]
  ])("%s", ([, handler, said]) =>
    Effect.gen(function* () {
      const { lock } = yield* answering(handler)
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, said)
    })
  )
})

describe("a refusal means to the election", () => {
  it.live.each<[string, Handler, string, ReadonlyArray<string>]>([
    ["401", json(401, status(401, "Unauthorized", "Unauthorized")), "Denied", ["401", "anonymous"]],
    [
      "403 of a quota: no rule would help",
      json(403, status(403, "Forbidden", `leases "reports" is forbidden: exceeded quota: q`)),
      "Denied",
      ["exceeded quota"]
    ],
    [
      "403 of a namespace that is being deleted",
      json(
        403,
        status(403, "Forbidden", "unable to create new content in namespace default because it is being terminated", {
          causes: [{ reason: "NamespaceTerminating", field: "metadata.namespace" }]
        })
      ),
      "Denied",
      [`namespace "default" is being deleted`]
    ],
    [
      "403 of the namespace as a whole",
      json(
        403,
        status(
          403,
          "Forbidden",
          `leases.coordination.k8s.io "reports" is forbidden: User "u" cannot create resource "leases" in API group "coordination.k8s.io" in the namespace "default"`
        )
      ),
      "Denied",
      [`resourceNames: ["reports"], verbs: ["create"]`]
    ],
    [
      "404 of the namespace",
      json(404, status(404, "NotFound", `namespaces "default" not found`, { name: "default", kind: "namespaces" })),
      "Denied",
      [`namespace "default" does not exist`]
    ],
    ["409", json(409, status(409, "Conflict", "the object has been modified")), "Conflict", ["has been modified"]],
    ["409 of a creation that came second", json(409, status(409, "AlreadyExists", "already exists")), "Conflict", []],
    [
      "422 of a first write that came second",
      json(
        422,
        status(422, "Invalid", "must be specified for an update", {
          causes: [{ reason: "FieldValueInvalid", field: "metadata.resourceVersion" }]
        })
      ),
      "Conflict",
      []
    ],
    [
      "422 of a field",
      json(
        422,
        status(422, "Invalid", "spec.leaseDurationSeconds: must be greater than 0", {
          causes: [{ field: "spec.leaseDurationSeconds" }]
        })
      ),
      "Malformed",
      ["spec.leaseDurationSeconds"]
    ],
    ["400", json(400, status(400, "BadRequest", "cannot be handled as a Lease")), "Malformed", ["cannot be handled"]],
    ["413", json(413, status(413, "RequestEntityTooLarge", "limit is 3145728")), "Malformed", ["limit is"]],
    ["429", json(429, status(429, "TooManyRequests", "slow down")), "Unavailable", ["slow down"]],
    [
      "500 without a reason",
      json(500, status(500, "", "etcdserver: request timed out")),
      "Unavailable",
      ["etcdserver"]
    ],
    ["503", text(503, "text/plain", "apiserver is shutting down"), "Unavailable", ["shutting down"]],
    ["504", json(504, status(504, "Timeout", "Timeout: request did not complete")), "Unavailable", ["Timeout"]]
  ])("%s", ([, handler, tag, said]) =>
    Effect.gen(function* () {
      const { lock } = yield* answering(handler)
      const absent = { record: yield* Effect.succeedNone, version: "absent", fence: 0n }
      const reason = yield* reasonOf(lock.write(absent, record("a")))
      assert.strictEqual(reason._tag, tag)
      for (const part of said) assert.include(reason.detail, part)
    })
  )

  it.live("Retry-After of the header and of the Status is passed on", () =>
    Effect.gen(function* () {
      const handlers: ReadonlyArray<Handler> = [
        json(429, status(429, "TooManyRequests", "slow down"), { "retry-after": "3" }),
        json(503, status(503, "ServiceUnavailable", "later", { retryAfterSeconds: 3 })),
        text(503, "text/plain", "later", { "retry-after": "3" })
      ]
      for (const handler of handlers) {
        const { lock } = yield* answering(handler)
        const reason = yield* reasonOf(lock.read)
        assert.strictEqual(reason._tag, "Unavailable")
        assert.deepInclude(reason, { retryAfter: Duration.seconds(3) })
      }
    })
  )

  it.live("a 404 of the Lease itself while it is written over is a lost race", () =>
    Effect.gen(function* () {
      const { lock } = yield* answering((request, response) =>
        request.method === "GET"
          ? sendJson(response, 200, lease("7"))
          : sendJson(response, 404, status(404, "NotFound", "not found", { name: "reports", kind: "leases" }))
      )
      const reason = yield* reasonOf(lock.write(yield* lock.read, record("a")))
      assert.strictEqual(reason._tag, "Conflict")
    })
  )

  it.live("a stored Lease that cannot be read is named by field and value", () =>
    Effect.gen(function* () {
      const { lock } = yield* answering(json(200, { ...lease("7"), spec: "held by nobody" }))
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Malformed")
      assert.include(reason.detail, `spec: `)
      assert.include(reason.detail, `"held by nobody"`)
    })
  )

  it.live("a client's error says verb, object, server and answer", () =>
    Effect.gen(function* () {
      const { client, server } = yield* answering(json(500, status(500, "InternalError", "boom")))
      const error = yield* Effect.flip(client.get(reports))
      assert.strictEqual(
        error.message,
        `get leases.coordination.k8s.io "reports" in namespace "default" at ${server}: refused with 500 InternalError: boom`
      )
    })
  )
})
