/**
 * Who may do what: bearer tokens, and rules by verb and name.
 */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { EmbeddedApiServer } from "@effect-leader/testkit"
import { ApiClient, at } from "../ApiClient.ts"
import { ask, lease, leases, remove } from "./leases.ts"

const rule = (resourceNames: ReadonlyArray<string>, verbs: ReadonlyArray<string>): EmbeddedApiServer.Rule => ({
  apiGroups: ["coordination.k8s.io"],
  resources: ["leases"],
  resourceNames,
  verbs,
  namespace: "default"
})

/** What the user `limited` may do: as a Role in the namespace `default`. */
export const limitedRules: ReadonlyArray<EmbeddedApiServer.Rule> = [
  rule(["semantics-full"], ["get", "watch", "update", "create"]),
  rule(["semantics-no-create"], ["get", "watch", "update"])
]

const asLimited = Effect.map(ApiClient, (client) => client.target.limitedToken)

const refusal = (verb: string, name: string): string =>
  `leases.coordination.k8s.io${name === "" ? "" : ` "${name}"`} is forbidden: User "limited" cannot ${verb} resource "leases" in API group "coordination.k8s.io" in the namespace "default"`

export const accessSemantics = (it: Vitest.MethodsNonLive<ApiClient>): void => {
  it.effect("an unknown token answers 401, whatever is asked for", () =>
    Effect.gen(function* () {
      for (const path of [`${leases}/x`, "/readyz", "/nope"]) {
        const { body, status } = yield* ask("GET", path, { token: "wrong" })
        assert.strictEqual(status, 401)
        assert.strictEqual(at(body, "reason"), "Unauthorized")
        assert.strictEqual(at(body, "message"), "Unauthorized")
      }
    })
  )

  it.effect("without a token objects are refused and health is not", () =>
    Effect.gen(function* () {
      const { status } = yield* ask("GET", `${leases}/x`, { token: null })
      // A real server calls it 403 when it allows anonymous requests, 401 when not.
      assert.include([401, 403], status)
      const ready = yield* ask("GET", "/readyz", { token: null })
      assert.strictEqual(ready.status, 200)
      assert.strictEqual(ready.body, "ok")
    })
  )

  it.effect("what no rule allows answers 403 and says who may not do what where", () =>
    Effect.gen(function* () {
      const token = yield* asLimited
      for (const [method, path, verb, name] of [
        ["GET", `${leases}/other`, "get", "other"],
        ["DELETE", `${leases}/semantics-full`, "delete", "semantics-full"],
        ["GET", leases, "list", ""],
        ["GET", `${leases}?watch=true`, "watch", ""],
        ["GET", `${leases}?fieldSelector=metadata.name%3Dsemantics-full`, "list", "semantics-full"]
      ] as const) {
        const { body, status } = yield* ask(method, path, { token })
        assert.strictEqual(status, 403)
        assert.strictEqual(at(body, "reason"), "Forbidden")
        assert.strictEqual(at(body, "message"), refusal(verb, name))
      }
      const elsewhere = leases.replace("default", "kube-system")
      assert.strictEqual((yield* ask("GET", `${elsewhere}/semantics-full`, { token })).status, 403)
      const everywhere = yield* ask("GET", "/apis/coordination.k8s.io/v1/leases", { token })
      assert.match(String(at(everywhere.body, "message")), /at the cluster scope$/)
    })
  )

  it.effect("a rule with a name allows to create that Lease by PUT but never by POST", () =>
    Effect.gen(function* () {
      const token = yield* asLimited
      yield* remove("semantics-full")
      const body = lease("semantics-full", { holderIdentity: "limited" })
      const posted = yield* ask("POST", leases, { token, body })
      assert.strictEqual(posted.status, 403)
      assert.strictEqual(at(posted.body, "message"), refusal("create", ""))
      const path = `${leases}/semantics-full`
      assert.strictEqual((yield* ask("PUT", path, { token, body })).status, 201)
      assert.strictEqual((yield* ask("GET", path, { token })).status, 200)
    })
  )

  it.effect("a PUT that would create needs the verb create beside update", () =>
    Effect.gen(function* () {
      const token = yield* asLimited
      yield* remove("semantics-no-create")
      const body = lease("semantics-no-create")
      const refused = yield* ask("PUT", `${leases}/semantics-no-create`, { token, body })
      assert.strictEqual(refused.status, 403)
      assert.strictEqual(at(refused.body, "message"), refusal("create", "semantics-no-create"))
    })
  )

  it.effect("a rule with a name allows a watch that selects this name", () =>
    Effect.gen(function* () {
      const token = yield* asLimited
      const { watch } = yield* ApiClient
      yield* ask("PUT", `${leases}/semantics-full`, { body: lease("semantics-full") })
      const byName = `${leases}?watch=true&fieldSelector=metadata.name%3D`
      const events = yield* watch(`${byName}semantics-full`, token)
      assert.strictEqual((yield* events.next).type, "ADDED")
      assert.strictEqual((yield* ask("GET", `${byName}other`, { token })).status, 403)
    })
  )
}
