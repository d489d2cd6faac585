/**
 * What the server refuses of a request's form and content, and how lists and reads are narrowed.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ApiClient, at, textAt } from "../ApiClient.ts"
import { ask, freshName, get, lease, leases, post, put, remove } from "./leases.ts"

export const ruleSemantics = (it: Vitest.MethodsNonLive<ApiClient>): void => {
  it.effect("a body whose name or namespace is not that of the path answers 400", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const other = yield* put(name, lease("other"))
      assert.strictEqual(other.status, 400)
      assert.strictEqual(
        at(other.body, "message"),
        `the name of the object (other) does not match the name on the URL (${name})`
      )
      assert.strictEqual((yield* put(name, { ...lease(name), metadata: {} })).status, 400)
      assert.strictEqual((yield* put(name, lease(name, {}, { namespace: "kube-system" }))).status, 400)
    })
  )

  it.effect("a time that has not exactly six fraction digits answers 400", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      for (const time of ["2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.0000000Z", "now"]) {
        for (const field of ["renewTime", "acquireTime"]) {
          const { body, status } = yield* put(name, lease(name, { [field]: time }))
          assert.strictEqual(status, 400)
          assert.strictEqual(at(body, "reason"), "BadRequest")
          assert.include(
            textAt(body, "message"),
            `Lease in version "v1" cannot be handled as a Lease: parsing time "${time}" as "2006-01-02T15:04:05.000000Z07:00"`
          )
        }
      }
    })
  )

  it.effect("a time with six fraction digits is kept to the microsecond, in UTC", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const spec = { renewTime: "2024-01-01T00:00:00.123456+02:00", acquireTime: "2024-01-01T00:00:00.000001Z" }
      const { body } = yield* put(name, lease(name, spec))
      assert.deepStrictEqual(at(body, "spec"), {
        renewTime: "2023-12-31T22:00:00.123456Z",
        acquireTime: "2024-01-01T00:00:00.000001Z"
      })
    })
  )

  it.effect("a duration below one second and negative transitions answer 422 and name the fields", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const one = yield* put(name, lease(name, { leaseDurationSeconds: 0 }))
      assert.strictEqual(one.status, 422)
      assert.strictEqual(
        at(one.body, "message"),
        `Lease.coordination.k8s.io "${name}" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0`
      )
      const both = yield* put(name, lease(name, { leaseDurationSeconds: -1, leaseTransitions: -1 }))
      assert.deepStrictEqual(at(both.body, "details.causes"), [
        {
          reason: "FieldValueInvalid",
          message: "Invalid value: -1: must be greater than 0",
          field: "spec.leaseDurationSeconds"
        },
        {
          reason: "FieldValueInvalid",
          message: "Invalid value: -1: must be greater than or equal to 0",
          field: "spec.leaseTransitions"
        }
      ])
    })
  )

  it.effect("a value of the wrong type answers 400", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const wrong = [
        lease(name, { holderIdentity: 5 }),
        lease(name, { leaseDurationSeconds: 1.5 }),
        lease(name, { leaseDurationSeconds: "15" }),
        lease(name, { renewTime: 5 }),
        lease(name, {}, { labels: { a: 5 } })
      ]
      for (const body of wrong) assert.strictEqual((yield* put(name, body)).status, 400)
    })
  )

  it.effect("nulls count as absent, an empty holder is kept, unknown fields are dropped", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const spec = { holderIdentity: "", renewTime: null, leaseDurationSeconds: null, bogus: 1 }
      const { body, status } = yield* put(name, lease(name, spec))
      assert.strictEqual(status, 201)
      assert.deepStrictEqual(at(body, "spec"), { holderIdentity: "" })
    })
  )

  it.effect("an unknown field answers 400 when the client asks for strictness", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const body = lease(name, { bogus: 1 })
      const { body: answer, status } = yield* ask("POST", `${leases}?fieldValidation=Strict`, { body })
      assert.strictEqual(status, 400)
      assert.include(textAt(answer, "message"), 'strict decoding error: unknown field "spec.bogus"')
    })
  )

  it.effect("a name or a label that is not well-formed answers 422", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      assert.strictEqual((yield* post(lease("Not_A_Name"))).status, 422)
      assert.strictEqual((yield* post(lease(name, {}, { labels: { a: "b c" } }))).status, 422)
      assert.strictEqual((yield* post(lease(name, {}, { annotations: { "a b": "c" } }))).status, 422)
      assert.strictEqual((yield* post({ metadata: {} })).status, 422)
    })
  )

  it.effect("a body that is not JSON or of another kind answers 400, another content type 415", () =>
    Effect.gen(function* () {
      for (const text of ["hello", '{"a":', "[]", ""]) {
        const { body, status } = yield* ask("POST", leases, { text })
        assert.strictEqual(status, 400)
        assert.strictEqual(at(body, "reason"), "BadRequest")
      }
      const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } }
      assert.strictEqual((yield* ask("POST", leases, { body: configMap })).status, 400)
      const { body, status } = yield* ask("POST", leases, { body: lease("x"), contentType: "text/plain" })
      assert.strictEqual(status, 415)
      assert.strictEqual(at(body, "reason"), "UnsupportedMediaType")
    })
  )

  it.effect("an unknown path answers 404 as text, an unknown resource 404 as a Status", () =>
    Effect.gen(function* () {
      const path = yield* ask("GET", "/nope")
      assert.strictEqual(path.status, 404)
      assert.strictEqual(path.body, "404 page not found\n")
      const resource = yield* ask("GET", "/apis/coordination.k8s.io/v1/namespaces/default/bogus")
      assert.strictEqual(resource.status, 404)
      assert.strictEqual(at(resource.body, "message"), "the server could not find the requested resource")
    })
  )

  it.effect("a method that a path does not have answers 405", () =>
    Effect.gen(function* () {
      const { body, status } = yield* ask("PUT", leases, { body: {} })
      assert.strictEqual(status, 405)
      assert.strictEqual(at(body, "reason"), "MethodNotAllowed")
    })
  )

  it.effect("in an absent namespace a write answers 404, a read finds nothing", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const absent = "/apis/coordination.k8s.io/v1/namespaces/semantics-absent/leases"
      for (const [method, path] of [
        ["POST", absent],
        ["PUT", `${absent}/${name}`]
      ] as const) {
        const { body, status } = yield* ask(method, path, { body: lease(name) })
        assert.strictEqual(status, 404)
        assert.strictEqual(at(body, "message"), 'namespaces "semantics-absent" not found')
      }
      const read = yield* ask("GET", `${absent}/${name}`)
      assert.strictEqual(at(read.body, "details.kind"), "leases")
      assert.deepStrictEqual(at((yield* ask("GET", absent)).body, "items"), [])
    })
  )

  it.effect("a list is narrowed by name and by label, and its items do not repeat the kind", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name, {}, { labels: { semantics: name } }))
      for (const query of [`fieldSelector=metadata.name%3D${name}`, `labelSelector=semantics%3D${name}`]) {
        const { body } = yield* ask("GET", `${leases}?${query}`)
        assert.strictEqual(at(body, "kind"), "LeaseList")
        assert.strictEqual(at(body, "items.length"), 1)
        assert.strictEqual(at(body, "items.0.metadata.name"), name)
        assert.strictEqual(at(body, "items.0.kind"), undefined)
      }
      const everywhere = `/apis/coordination.k8s.io/v1/leases?fieldSelector=metadata.name%3D${name}`
      assert.strictEqual(at((yield* ask("GET", everywhere)).body, "items.length"), 1)
      assert.strictEqual((yield* ask("GET", `${leases}?fieldSelector=spec.bogus%3Da`)).status, 400)
    })
  )

  it.effect("a list at an exact version shows what was then", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: then } = yield* post(lease(name, { holderIdentity: "then" }))
      yield* remove(name)
      const version = textAt(then, "metadata.resourceVersion")
      const query = `fieldSelector=metadata.name%3D${name}&resourceVersion=${version}&resourceVersionMatch=Exact`
      const { body } = yield* ask("GET", `${leases}?${query}`)
      assert.strictEqual(at(body, "metadata.resourceVersion"), version)
      assert.strictEqual(at(body, "items.0.spec.holderIdentity"), "then")
    })
  )

  it.effect("a read that wants a version of the future answers 504 and says when to ask again", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name))
      const { body, status } = yield* ask("GET", `${leases}/${name}?resourceVersion=999999999`)
      assert.strictEqual(status, 504)
      assert.strictEqual(at(body, "details.retryAfterSeconds"), 1)
      assert.strictEqual((yield* get(name)).status, 200)
    })
  )
}
