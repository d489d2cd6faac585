/**
 * What a request asks for, read from its method, path and query as kube-apiserver does: the verb, the resource, and the
 * options of lists and watches.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as ApiFailure from "./ApiFailure.ts"
import * as ResourceKind from "./ResourceKind.ts"
import * as Selector from "./Selector.ts"

export type Verb =
  | "get"
  | "list"
  | "watch"
  | "create"
  | "update"
  | "patch"
  | "delete"
  | "deletecollection"
  /** No verb of this server. */
  | "unsupported"

/** A request for an object or a collection. `kind` is undefined when no such resource is served. */
export interface ResourceRequest {
  readonly _tag: "Resource"
  readonly verb: Verb
  readonly group: string
  readonly version: string
  /** With its subresource, as in `pods/status`. */
  readonly resource: string
  readonly kind: ResourceKind.ResourceKind | undefined
  /** Empty when the path has none. */
  readonly namespace: string
  /** From the path, or for lists and watches from the field selector; empty when there is none. */
  readonly name: string
  readonly query: URLSearchParams
}

/** A request for something that is no resource: discovery, health, version. */
export interface PathRequest {
  readonly _tag: "Path"
  readonly method: string
  readonly path: string
}

export type ApiRequest = ResourceRequest | PathRequest

export const parse = (method: string, url: URL): ApiRequest => {
  const segments = url.pathname.split("/").filter((segment) => segment !== "")
  const [root, ...rest] = segments
  const [group, version, ...tail] = root === "apis" ? rest : root === "api" ? ["", ...rest] : []
  if (group === undefined || version === undefined || tail.length === 0 || !isServed(group, version)) {
    return { _tag: "Path", method, path: url.pathname }
  }
  return resource(method, group, version, tail.map(decode), url.searchParams)
}

const isServed = (group: string, version: string): boolean =>
  ResourceKind.all.some((kind) => kind.group === group && kind.version === version)

const decode = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const resource = (
  method: string,
  group: string,
  version: string,
  path: ReadonlyArray<string>,
  query: URLSearchParams
): ResourceRequest => {
  // namespaces/x/pods/y is about a pod; namespaces and namespaces/x are about namespaces.
  const inNamespace = path[0] === "namespaces" && path.length > 2
  const [plural = "", name = "", ...sub] = inNamespace ? path.slice(2) : path
  const verb = verbOf(method, name, query)
  const collection = verb === "list" || verb === "watch" || verb === "deletecollection"
  return {
    _tag: "Resource",
    verb,
    group,
    version,
    resource: [plural, ...sub].join("/"),
    kind: sub.length === 0 ? ResourceKind.find(group, version, plural) : undefined,
    namespace: inNamespace ? (path[1] ?? "") : plural === "namespaces" ? name : "",
    name: collection ? Selector.nameIn(query.get("fieldSelector") ?? "") : name,
    query
  }
}

const verbOf = (method: string, name: string, query: URLSearchParams): Verb => {
  const watch = query.get("watch")
  switch (method) {
    case "GET":
      return name !== "" ? "get" : watch === "true" || watch === "1" ? "watch" : "list"
    case "POST":
      return name === "" ? "create" : "unsupported"
    case "PUT":
      return name === "" ? "unsupported" : "update"
    case "PATCH":
      return name === "" ? "unsupported" : "patch"
    case "DELETE":
      return name === "" ? "deletecollection" : "delete"
    default:
      return "unsupported"
  }
}

/** The version that a list or a watch names; 0 when it names none. */
export const resourceVersion = (query: URLSearchParams): Result.Result<number, string> => {
  const text = query.get("resourceVersion") ?? ""
  if (text === "") return Result.succeed(0)
  return /^\d+$/.test(text)
    ? Result.succeed(Number(text))
    : Result.fail(
        `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`
      )
}

/** A number of the query such as `timeoutSeconds`; undefined when it is absent. */
export const integer = (
  query: URLSearchParams,
  name: string
): Result.Result<number | undefined, ApiFailure.ApiFailure> => {
  const text = query.get(name)
  if (text === null || text === "") return Result.succeed(undefined)
  return /^-?\d+$/.test(text)
    ? Result.succeed(Number(text))
    : Result.fail(ApiFailure.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`))
}

/** A flag of the query such as `allowWatchBookmarks`. */
export const flag = (query: URLSearchParams, name: string): boolean => {
  const text = query.get(name)
  return text === "true" || text === "1"
}
