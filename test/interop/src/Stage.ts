/**
 * A Lease of its own for a test, and the right to elect on it for candidates of both kinds: one Role with two rules, ours
 * and the one that client-go needs beside it.
 */
import { candidateRule } from "@effect-leader/test-end-to-end/src/ApiServer.ts"
import * as RealServer from "@effect-leader/test-end-to-end/src/RealServer.ts"
import { grant } from "@effect-leader/test-end-to-end/src/Roles.ts"
import type { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import * as Candidates from "./Candidates.ts"
import * as ClientGo from "./ClientGo.ts"

/** A real API server, and the client-go candidate. */
export const layer = Layer.merge(RealServer.layer, ClientGo.layer)

/** client-go creates with a POST, which no rule with a name allows. */
const postCreate = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] }

/** What a test chooses. */
export type Choice = Pick<Candidates.Options, "timings" | "requestTimeout" | "finalizer">

export const sharedLease = (options: Choice) => stage(options, [postCreate], { ours: "limited", "client-go": "peer" })

/** Where nobody can create a Lease by POST. */
export const leaseByName = (options: Choice) => stage(options, [], { ours: "stranger", "client-go": "stranger" })

const stage = Effect.fnUntraced(function* (
  options: Choice,
  more: ReadonlyArray<EmbeddedApiServer.Rule>,
  users: Candidates.Options["users"]
) {
  const lease = `interop-${randomUUID().slice(0, 8)}`
  yield* grant(lease, [candidateRule(lease), ...more], [users.ours, users["client-go"]])
  const candidates = yield* Candidates.make({ ...options, lease, users })
  return { lease, candidates }
})
