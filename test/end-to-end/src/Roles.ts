/**
 * Rights on a control plane: Roles and RoleBindings made with kubectl, as people make them.
 */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import type { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { namespace, type User } from "./ApiServer.ts"

const rbac = "rbac.authorization.k8s.io"

/** Gives the users these rights on Leases, each by its name. Returns when they are in force. */
export const grant = Effect.fnUntraced(function* (
  name: string,
  rules: ReadonlyArray<EmbeddedApiServer.Rule>,
  users: ReadonlyArray<User>
) {
  const plane = yield* ControlPlane
  const role = {
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: { name, namespace },
    rules: rules.map(({ apiGroups, resourceNames, resources, verbs }) => ({
      apiGroups,
      resourceNames,
      resources,
      verbs
    }))
  }
  const binding = {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { name, namespace },
    roleRef: { apiGroup: rbac, kind: "Role", name },
    subjects: users.map((user) => ({ apiGroup: rbac, kind: "User", name: user }))
  }
  const list = { apiVersion: "v1", kind: "List", items: [role, binding] }
  yield* plane.kubectl(["apply", "--filename=-"], JSON.stringify(list))
  for (const user of users) {
    for (const lease of rules.flatMap(({ resourceNames = [] }) => resourceNames)) {
      yield* untilItMayGet(plane, user, lease)
    }
  }
}, Effect.orDie)

/** The server learns of its own Roles by a watch. */
const untilItMayGet = (plane: ControlPlane["Service"], user: User, lease: string) =>
  plane
    .client(user)
    .get(leasePath(lease))
    .pipe(
      Effect.flatMap((response) => Effect.as(response.text, response.status)),
      Effect.repeat({ until: (status) => status !== 403, schedule: Schedule.spaced("20 millis") })
    )

export const leasePath = (name: string): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`
