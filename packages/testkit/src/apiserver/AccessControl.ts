/**
 * Who asks, and what they may do: bearer tokens and role-based access control, with the matching rules of Kubernetes.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as ApiFailure from "./ApiFailure.ts"

/**
 * Whom a token stands for. Members of `system:masters` may do everything.
 *
 * @since 0.1.0
 */
export interface User {
  readonly name: string
  readonly groups?: ReadonlyArray<string>
}

/**
 * A rule as in a Role: everything in it must match. `*` in `apiGroups`, `resources` or `verbs` matches all. Without
 * `namespace` it holds everywhere, as a ClusterRole does. With `resourceNames` it holds for requests that name one of
 * them: a list or watch does so by `fieldSelector=metadata.name=x`, a POST never does.
 *
 * @since 0.1.0
 */
export interface Rule {
  readonly apiGroups: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<string>
  readonly resourceNames?: ReadonlyArray<string>
  readonly namespace?: string
}

/** What is asked for. `name` and `namespace` are empty when the request names none. */
export interface Attributes {
  readonly verb: string
  readonly group: string
  /** With its subresource, as in `pods/status`. */
  readonly resource: string
  readonly namespace: string
  readonly name: string
}

/**
 * Users by their bearer token, or `"anyone"`: no token is asked for, and everybody may do everything.
 *
 * @since 0.1.0
 */
export type Users = { readonly [token: string]: User } | "anyone"

/**
 * What each user may do, by user name. Users that are not named may do nothing.
 *
 * @since 0.1.0
 */
export interface Rbac {
  readonly [user: string]: ReadonlyArray<Rule>
}

export interface AccessControl {
  /** The user of a request by its `Authorization` header; undefined: anonymous. */
  readonly authenticate: (authorization: string | undefined) => Answer<User | undefined>
  readonly authorize: (user: User, asked: Attributes) => Answer<void>
  /** For a path that is no resource and is not open to all. */
  readonly authorizePath: (user: User, method: string, path: string) => Answer<void>
  readonly users: () => Users
  readonly setUsers: (users: Users) => void
  /** Undefined: every user may do everything. */
  readonly setRbac: (rbac: Rbac | undefined) => void
}

type Answer<A> = Result.Result<A, ApiFailure.ApiFailure>

const everybody: User = { name: "system:anonymous", groups: ["system:masters"] }

export const make = (initialUsers: Users, initialRbac: Rbac | undefined): AccessControl => {
  let users = initialUsers
  let rbac = initialRbac
  const mayAll = (user: User) => rbac === undefined || (user.groups?.includes("system:masters") ?? false)
  return {
    authenticate: (authorization) => {
      if (users === "anyone") return Result.succeed(everybody)
      if (authorization === undefined) return Result.succeed(undefined)
      const token = /^Bearer (.+)$/i.exec(authorization)?.[1] ?? ""
      const user = Object.hasOwn(users, token) ? users[token] : undefined
      return user === undefined ? Result.fail(ApiFailure.unauthorized()) : Result.succeed(user)
    },
    authorize: (user, asked) =>
      mayAll(user) || allows(rbac?.[user.name] ?? [], asked)
        ? Result.void
        : Result.fail(
            ApiFailure.forbidden(asked.resource.replace(/\/.*/, ""), asked.group, asked.name, refusal(user, asked))
          ),
    authorizePath: (user, method, path) =>
      mayAll(user)
        ? Result.void
        : Result.fail(
            ApiFailure.forbiddenPath(`User "${user.name}" cannot ${method.toLowerCase()} path ${JSON.stringify(path)}`)
          ),
    users: () => users,
    setUsers: (next) => {
      users = next
    },
    setRbac: (next) => {
      rbac = next
    }
  }
}

const allows = (rules: ReadonlyArray<Rule>, asked: Attributes): boolean =>
  rules.some(
    (rule) =>
      holds(rule.verbs, asked.verb) &&
      holds(rule.apiGroups, asked.group) &&
      holds(rule.resources, asked.resource) &&
      (rule.resourceNames === undefined ||
        rule.resourceNames.length === 0 ||
        rule.resourceNames.includes(asked.name)) &&
      (rule.namespace === undefined || rule.namespace === asked.namespace)
  )

const holds = (allowed: ReadonlyArray<string>, asked: string): boolean =>
  allowed.includes("*") || allowed.includes(asked)

const refusal = (user: User, asked: Attributes): string => {
  const where = asked.namespace === "" ? "at the cluster scope" : `in the namespace "${asked.namespace}"`
  return `User "${user.name}" cannot ${asked.verb} resource "${asked.resource}" in API group "${asked.group}" ${where}`
}
