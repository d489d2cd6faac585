/**
 * What a watch tells, from when on, and how it ends.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ApiClient, at, textAt, versionOf, type WatchEvent } from "../ApiClient.ts"
import { ask, freshName, lease, leases, mergePatch, post, remove, watch } from "./leases.ts"

const byName = (name: string): string => `fieldSelector=metadata.name%3D${name}`

const versionIn = (body: unknown): string => textAt(body, "metadata.resourceVersion")

const told = ({ object, type }: WatchEvent) => [type, at(object, "metadata.name"), at(object, "spec.holderIdentity")]

const hold = (name: string, holderIdentity: string) => mergePatch(name, { spec: { holderIdentity } })

export const watchSemantics = (it: Vitest.MethodsNonLive<ApiClient>): void => {
  it.effect("a watch from a version tells everything after it, then what happens", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body } = yield* post(lease(name, { holderIdentity: "a" }))
      yield* hold(name, "b")
      const events = yield* watch(`${byName(name)}&resourceVersion=${versionIn(body)}`)
      assert.deepStrictEqual(told(yield* events.next), ["MODIFIED", name, "b"])
      yield* hold(name, "c")
      assert.deepStrictEqual(told(yield* events.next), ["MODIFIED", name, "c"])
      yield* remove(name)
      yield* post(lease(name, { holderIdentity: "d" }))
      assert.deepStrictEqual(told(yield* events.next), ["DELETED", name, "c"])
      assert.deepStrictEqual(told(yield* events.next), ["ADDED", name, "d"])
    })
  )

  it.effect("a watch without a version, or from 0, begins with what exists", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name, { holderIdentity: "a" }))
      for (const query of ["", "&resourceVersion=0", "&resourceVersion="]) {
        const events = yield* watch(`${byName(name)}${query}`)
        assert.deepStrictEqual(told(yield* events.next), ["ADDED", name, "a"])
      }
      const events = yield* watch(byName(name))
      yield* events.next
      yield* hold(name, "b")
      assert.deepStrictEqual(told(yield* events.next), ["MODIFIED", name, "b"])
    })
  )

  it.effect("with bookmarks, it says when it has told all that exists", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      yield* post(lease(name))
      const events = yield* watch(`${byName(name)}&allowWatchBookmarks=true`)
      const added = yield* events.next
      const bookmark = yield* events.next
      assert.strictEqual(bookmark.type, "BOOKMARK")
      assert.strictEqual(at(bookmark.object, "kind"), "Lease")
      assert.deepStrictEqual(at(bookmark.object, "metadata.annotations"), { "k8s.io/initial-events-end": "true" })
      assert.isTrue(versionOf(bookmark.object) >= versionOf(added.object))
    })
  )

  it.effect("a deletion consumes a version, and its event carries it", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body: before } = yield* post(lease(name, { holderIdentity: "a" }))
      const events = yield* watch(`${byName(name)}&resourceVersion=${versionIn(before)}`)
      yield* remove(name)
      const { body: after } = yield* post(lease(name))
      const { object, type } = yield* events.next
      assert.strictEqual(type, "DELETED")
      assert.strictEqual(at(object, "metadata.uid"), at(before, "metadata.uid"))
      assert.isTrue(versionOf(before) < versionOf(object) && versionOf(object) < versionOf(after))
    })
  )

  it.effect("a watch of one name hears nothing of others", () =>
    Effect.gen(function* () {
      const [name, other] = [yield* freshName, yield* freshName]
      const { body } = yield* post(lease(name))
      const events = yield* watch(`${byName(name)}&resourceVersion=${versionIn(body)}`)
      yield* post(lease(other))
      yield* hold(name, "a")
      assert.deepStrictEqual(told(yield* events.next), ["MODIFIED", name, "a"])
    })
  )

  it.effect("a watch of a namespace hears nothing of others", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const { body } = yield* post(lease(name))
      const elsewhere = `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases`
      const events = yield* watch(`${byName(name)}&resourceVersion=${versionIn(body)}`)
      yield* ask("POST", elsewhere, { body: lease(name) })
      yield* hold(name, "a")
      assert.strictEqual(at((yield* events.next).object, "metadata.namespace"), "default")
      yield* ask("DELETE", `${elsewhere}/${name}`)
    })
  )

  it.effect("an object enters and leaves a watch by label as if it came and went", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const label = (value: string) => mergePatch(name, { metadata: { labels: { semantics: value } } })
      const { body } = yield* post(lease(name, { holderIdentity: "a" }))
      const events = yield* watch(`labelSelector=semantics%3D${name}&resourceVersion=${versionIn(body)}`)
      yield* label(name)
      yield* label("other")
      yield* hold(name, "b")
      yield* label(name)
      yield* hold(name, "c")
      assert.deepStrictEqual(told(yield* events.next), ["ADDED", name, "a"])
      const left = yield* events.next
      assert.deepStrictEqual(told(left), ["DELETED", name, "a"])
      assert.deepStrictEqual(at(left.object, "metadata.labels"), { semantics: name })
      assert.deepStrictEqual(told(yield* events.next), ["ADDED", name, "b"])
      assert.deepStrictEqual(told(yield* events.next), ["MODIFIED", name, "c"])
    })
  )

  it.effect("timeoutSeconds ends a watch in order", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const events = yield* watch(`${byName(name)}&timeoutSeconds=1`)
      assert.isTrue(yield* events.ended)
    })
  )

  it.effect("a watcher that does not read holds up no other", () =>
    Effect.gen(function* () {
      const name = yield* freshName
      const client = yield* ApiClient
      const { body } = yield* post(lease(name))
      const query = `watch=true&${byName(name)}&resourceVersion=${versionIn(body)}`
      yield* client.watchDeaf(`${leases}?${query}`)
      const events = yield* client.watch(`${leases}?${query}`)
      const ballast = "x".repeat(200_000)
      for (let round = 0; round < 50; round++) {
        yield* mergePatch(name, { metadata: { annotations: { ballast: `${round}${ballast}` } } })
        const { object } = yield* events.next
        assert.strictEqual(at(object, "metadata.annotations.ballast"), `${round}${ballast}`)
      }
      yield* remove(name)
    })
  )
}
