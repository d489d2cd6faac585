/**
 * How objects are made, replaced and removed, and what versions and uids protect.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ApiClient, at, textAt, versionOf } from "../ApiClient.ts"
import { ask, freshName, get, lease, leases, mergePatch, post, put, remove } from "./leases.ts"

export const objectSemantics = (it: Vitest.MethodsNonLive<ApiClient>): void => {
  it.effect("a get of an absent object answers 404 and names it", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body, contentType, status } = yield* get(name)
      assert.strictEqual(status, 404)
      assert.strictEqual(contentType, "application/json")
      assert.deepStrictEqual(body, {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message: `leases.coordination.k8s.io "${name}" not found`,
        reason: "NotFound",
        details: { name, group: "coordination.k8s.io", kind: "leases" },
        code: 404
      })
    })
  )

  it.effect("a POST creates an object with uid, version and creation time", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body, status } = yield* post(lease(name, { holderIdentity: "a" }, { labels: { a: "b" } }))
      assert.strictEqual(status, 201)
      assert.strictEqual(at(body, "kind"), "Lease")
      assert.strictEqual(at(body, "metadata.namespace"), "default")
      assert.deepStrictEqual(at(body, "metadata.labels"), { a: "b" })
      assert.match(textAt(body, "metadata.uid"), /^[0-9a-f-]{36}$/)
      assert.match(textAt(body, "metadata.resourceVersion"), /^[1-9]\d*$/)
      assert.match(textAt(body, "metadata.creationTimestamp"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.deepStrictEqual(at((yield* get(name)).body, "spec"), { holderIdentity: "a" })
    })
  )

  it.effect("a POST of an existing object answers 409 AlreadyExists", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name))
      const { body, status } = yield* post(lease(name))
      assert.strictEqual(status, 409)
      assert.strictEqual(at(body, "reason"), "AlreadyExists")
      assert.strictEqual(at(body, "message"), `leases.coordination.k8s.io "${name}" already exists`)
    })
  )

  it.effect("a POST with generateName gets a name of its own", () =>
    Effect.gen(function* () {
      const { body, status } = yield* ask("POST", leases, { body: { metadata: { generateName: "semantics-g-" } } })
      assert.strictEqual(status, 201)
      assert.match(textAt(body, "metadata.name"), /^semantics-g-[a-z0-9]{5}$/)
    })
  )

  it.effect("a PUT of an absent Lease without uid and version creates it", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      assert.strictEqual((yield* put(name, lease(name))).status, 201)
    })
  )

  it.effect("a PUT against the current version replaces the object and keeps uid and creation time", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: before } = yield* post(lease(name, { holderIdentity: "a" }))
      const resourceVersion = textAt(before, "metadata.resourceVersion")
      const { body: after, status } = yield* put(name, lease(name, { holderIdentity: "b" }, { resourceVersion }))
      assert.strictEqual(status, 200)
      assert.strictEqual(at(after, "spec.holderIdentity"), "b")
      assert.strictEqual(at(after, "metadata.uid"), at(before, "metadata.uid"))
      assert.strictEqual(at(after, "metadata.creationTimestamp"), at(before, "metadata.creationTimestamp"))
      assert.isTrue(versionOf(after) > versionOf(before))
    })
  )

  it.effect("a PUT that changes nothing makes no new version", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: before } = yield* post(lease(name, { holderIdentity: "a" }))
      const resourceVersion = textAt(before, "metadata.resourceVersion")
      const { body: after, status } = yield* put(name, lease(name, { holderIdentity: "a" }, { resourceVersion }))
      assert.strictEqual(status, 200)
      assert.strictEqual(versionOf(after), versionOf(before))
    })
  )

  it.effect("a PUT against a stale version answers 409 Conflict and changes nothing", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: first } = yield* post(lease(name, { holderIdentity: "a" }))
      const resourceVersion = textAt(first, "metadata.resourceVersion")
      yield* put(name, lease(name, { holderIdentity: "b" }, { resourceVersion }))
      const { body, status } = yield* put(name, lease(name, { holderIdentity: "c" }, { resourceVersion }))
      assert.strictEqual(status, 409)
      assert.strictEqual(at(body, "reason"), "Conflict")
      assert.strictEqual(
        at(body, "message"),
        `Operation cannot be fulfilled on leases.coordination.k8s.io "${name}": the object has been modified; please apply your changes to the latest version and try again`
      )
      assert.strictEqual(at((yield* get(name)).body, "spec.holderIdentity"), "b")
    })
  )

  it.effect("a PUT of an existing Lease without a version answers 422", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name))
      const { body, status } = yield* put(name, lease(name))
      assert.strictEqual(status, 422)
      assert.strictEqual(at(body, "reason"), "Invalid")
      assert.match(textAt(body, "message"), /metadata\.resourceVersion: .*must be specified for an update/)
    })
  )

  it.effect("a PUT with the uid of another object answers 409", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: before } = yield* post(lease(name))
      const { metadata } = lease(name, {}, { resourceVersion: textAt(before, "metadata.resourceVersion") })
      const uid = "00000000-0000-4000-8000-000000000000"
      const { body, status } = yield* put(name, { ...lease(name), metadata: { ...metadata, uid } })
      assert.strictEqual(status, 409)
      assert.strictEqual(at(body, "reason"), "Conflict")
      assert.include(textAt(body, "message"), `Precondition failed: UID in precondition: ${uid}, UID in object meta: `)
    })
  )

  it.effect("a PUT with a stale version and no uid creates a deleted Lease anew", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: first } = yield* post(lease(name))
      const resourceVersion = textAt(first, "metadata.resourceVersion")
      yield* remove(name)
      const { body, status } = yield* put(name, lease(name, {}, { resourceVersion }))
      assert.strictEqual(status, 201)
      assert.notStrictEqual(at(body, "metadata.uid"), at(first, "metadata.uid"))
      assert.isTrue(versionOf(body) > versionOf(first))
    })
  )

  it.effect("a PUT with the uid of a deleted Lease answers 409 and creates nothing", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: first } = yield* post(lease(name))
      yield* remove(name)
      const uid = textAt(first, "metadata.uid")
      const { body, status } = yield* put(name, lease(name, {}, { uid }))
      assert.strictEqual(status, 409)
      assert.strictEqual(at(body, "reason"), "Conflict")
      assert.strictEqual((yield* get(name)).status, 404)
    })
  )

  it.effect("a merge patch changes what it names, and null removes", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const spec = { holderIdentity: "a", leaseDurationSeconds: 15 }
      yield* post(lease(name, spec, { labels: { gone: "x", kept: "y" } }))
      const patch = { metadata: { labels: { gone: null } }, spec: { holderIdentity: null, leaseTransitions: 2 } }
      const { body, status } = yield* mergePatch(name, patch)
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(at(body, "metadata.labels"), { kept: "y" })
      assert.deepStrictEqual(at(body, "spec"), { leaseDurationSeconds: 15, leaseTransitions: 2 })
    })
  )

  it.effect("a merge patch with a stale version answers 409, of an absent object 404", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const patch = { metadata: { resourceVersion: "1", labels: { a: "b" } } }
      assert.strictEqual((yield* mergePatch(name, patch)).status, 404)
      yield* post(lease(name))
      assert.strictEqual((yield* mergePatch(name, patch)).status, 409)
    })
  )

  it.effect("a merge patch cannot give an object another uid", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name))
      const { body, status } = yield* mergePatch(name, { metadata: { uid: "00000000-0000-4000-8000-000000000000" } })
      assert.strictEqual(status, 422)
      assert.include(textAt(body, "message"), "metadata.uid: Invalid value")
    })
  )

  it.effect("a DELETE answers what was deleted, and 404 the second time", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: before } = yield* post(lease(name))
      const { body, status } = yield* remove(name)
      assert.strictEqual(status, 200)
      assert.strictEqual(at(body, "status"), "Success")
      assert.strictEqual(at(body, "details.uid"), at(before, "metadata.uid"))
      assert.strictEqual((yield* remove(name)).status, 404)
    })
  )

  it.effect("a DELETE honours the preconditions uid and resourceVersion", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: before } = yield* post(lease(name))
      const uid = "00000000-0000-4000-8000-000000000000"
      const otherUid = yield* remove(name, { preconditions: { uid } })
      assert.strictEqual(otherUid.status, 409)
      assert.strictEqual(at(otherUid.body, "reason"), "Conflict")
      assert.strictEqual((yield* remove(name, { preconditions: { resourceVersion: "1" } })).status, 409)
      const right = {
        uid: textAt(before, "metadata.uid"),
        resourceVersion: textAt(before, "metadata.resourceVersion")
      }
      assert.strictEqual((yield* remove(name, { preconditions: right })).status, 200)
    })
  )

  it.effect("one counter gives every write of any kind its version", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const configMaps = "/api/v1/namespaces/default/configmaps"
      const { body: first } = yield* post(lease(name))
      const second = yield* ask("POST", configMaps, { body: { metadata: { name }, data: { a: "b" } } })
      const resourceVersion = textAt(first, "metadata.resourceVersion")
      const third = yield* put(name, lease(name, { holderIdentity: "a" }, { resourceVersion }))
      assert.isTrue(versionOf(first) < versionOf(second.body) && versionOf(second.body) < versionOf(third.body))
      yield* ask("DELETE", `${configMaps}/${name}`)
    })
  )

  it.effect("a PUT of an absent ConfigMap answers 404, and a PUT without a version replaces Endpoints", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const metadata = { name }
      const configMap = yield* ask("PUT", `/api/v1/namespaces/default/configmaps/${name}`, { body: { metadata } })
      assert.strictEqual(configMap.status, 404)
      const path = `/api/v1/namespaces/default/endpoints/${name}`
      assert.strictEqual((yield* ask("PUT", path, { body: { metadata } })).status, 201)
      const labelled = { metadata: { name, labels: { a: "b" } } }
      assert.strictEqual((yield* ask("PUT", path, { body: labelled })).status, 200)
      yield* ask("DELETE", path)
    })
  )
}
