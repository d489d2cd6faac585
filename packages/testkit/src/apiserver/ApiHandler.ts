/**
 * From a request to its answer: asks access control, then the store, then puts the result into the API's shapes. Knows
 * nothing of sockets.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Stream from "effect/Stream"
import type * as AccessControl from "./AccessControl.ts"
import * as ApiFailure from "./ApiFailure.ts"
import type * as ApiObject from "./ApiObject.ts"
import * as ApiRequest from "./ApiRequest.ts"
import * as Discovery from "./Discovery.ts"
import type * as ObjectStore from "./ObjectStore.ts"
import * as RequestBody from "./RequestBody.ts"
import * as ResourceKind from "./ResourceKind.ts"
import * as Selector from "./Selector.ts"
import type * as Watch from "./Watch.ts"

type Answer<A> = Result.Result<A, ApiFailure.ApiFailure>

/** One request as it came. */
export interface Call {
  readonly method: string
  readonly url: URL
  /** A header's value, empty when it is absent. */
  readonly header: (name: "accept" | "content-type") => string
  readonly body: Effect.Effect<string, ApiFailure.ApiFailure>
}

export type Reply =
  | { readonly _tag: "Json"; readonly code: number; readonly body: object }
  | { readonly _tag: "Text"; readonly code: number; readonly body: string }
  | { readonly _tag: "Lines"; readonly lines: Stream.Stream<string> }

export interface Parts {
  readonly store: ObjectStore.ObjectStore
  readonly watches: Watch.Watches
  readonly access: AccessControl.AccessControl
}

/** Answers a request of an authenticated user; refusals are failures. */
export const make =
  (parts: Parts) =>
  (call: Call, user: AccessControl.User): Effect.Effect<Reply, ApiFailure.ApiFailure> => {
    const request = ApiRequest.parse(call.method, call.url)
    if (request._tag === "Path") return onPath(parts, request, user)
    return accepts(call.header("accept"))
      ? onResource(parts, request, call, user)
      : Effect.fail(ApiFailure.notAcceptable())
  }

/** Only JSON is served. */
const accepts = (accept: string): boolean => accept === "" || /\*\/\*|application\/(json|\*)/.test(accept)

const json = (body: object, code = 200): Reply => ({ _tag: "Json", code, body })

const onPath = (parts: Parts, request: ApiRequest.PathRequest, user: AccessControl.User) => {
  const body = request.method === "GET" ? Discovery.at(request.path) : undefined
  if (body === undefined) {
    return Effect.as(Effect.fromResult(parts.access.authorizePath(user, request.method, request.path)), {
      _tag: "Text",
      code: 404,
      body: "404 page not found\n"
    } as const)
  }
  return Effect.succeed(typeof body === "string" ? ({ _tag: "Text", code: 200, body } as const) : json(body))
}

const onResource = (
  parts: Parts,
  request: ApiRequest.ResourceRequest,
  call: Call,
  user: AccessControl.User
): Effect.Effect<Reply, ApiFailure.ApiFailure> =>
  Effect.gen(function* () {
    const { kind, verb } = request
    if (verb === "unsupported") return yield* ApiFailure.methodNotAllowed()
    yield* Effect.fromResult(parts.access.authorize(user, { ...request, verb }))
    const everywhere = request.namespace === "" && (verb === "list" || verb === "watch")
    if (kind === undefined || (kind.namespaced && request.namespace === "" && !everywhere)) {
      return yield* ApiFailure.unknownResource()
    }
    const writes = verb === "create" || verb === "update" || verb === "patch" || verb === "delete"
    const body = writes ? yield* call.body : ""
    // From here on everything happens in one turn, so that what is checked still holds when it is written.
    const mayCreate = () => parts.access.authorize(user, { ...request, verb: "create" })
    return yield* Effect.fromResult(answer(parts, { ...request, kind }, call, body, mayCreate))
  })

const answer = (
  { store, watches }: Parts,
  request: ApiRequest.ResourceRequest & { readonly kind: ResourceKind.ResourceKind },
  call: Call,
  body: string,
  mayCreate: () => Answer<void>
): Answer<Reply> => {
  const { kind, name, query } = request
  const namespace = kind.namespaced ? request.namespace : ""
  const scope = kind.namespaced && namespace !== "" ? namespace : undefined
  const address = { kind, namespace, name }
  const target = { ...address, strict: query.get("fieldValidation") === "Strict" }
  const contentType = call.header("content-type")
  switch (request.verb) {
    case "get":
      return Result.flatMap(notInTheFuture(store, query), () =>
        Result.map(store.get(address), (object) => json(object))
      )
    case "list":
      return list(store, kind, scope, query)
    case "watch":
      return Result.map(watches.open({ kind, namespace: scope, query }), (lines) => ({ _tag: "Lines", lines }))
    case "create":
      return Result.gen(function* () {
        const draft = yield* RequestBody.object(target, contentType, body)
        return json(yield* store.create(kind, namespace, draft), 201)
      })
    case "update":
      return Result.gen(function* () {
        const draft = yield* RequestBody.object(target, contentType, body)
        const written = yield* store.update(address, draft, mayCreate)
        return json(written.object, written.created ? 201 : 200)
      })
    case "patch":
      return Result.gen(function* () {
        const current = yield* store.get(address)
        const draft = yield* RequestBody.patched(target, contentType, body, current)
        return json((yield* store.update(address, draft, mayCreate)).object)
      })
    case "delete":
      return Result.gen(function* () {
        const removed = yield* store.remove(address, yield* RequestBody.preconditions(body))
        return json(deleted(kind, removed))
      })
    case "deletecollection":
      return Result.gen(function* () {
        const selector = yield* Selector.fromQuery(kind, query)
        const { items } = yield* store.list(kind, scope)
        const chosen = items.filter(selector)
        for (const item of chosen) yield* store.remove({ kind, namespace, name: item.metadata.name }, {})
        return json(listOf(kind, { version: store.version(), items: chosen }))
      })
    case "unsupported":
      return Result.fail(ApiFailure.methodNotAllowed())
  }
}

const list = (
  store: ObjectStore.ObjectStore,
  kind: ResourceKind.ResourceKind,
  namespace: string | undefined,
  query: URLSearchParams
): Answer<Reply> =>
  Result.gen(function* () {
    const selector = yield* Selector.fromQuery(kind, query)
    const wanted = yield* notInTheFuture(store, query)
    const exact = query.get("resourceVersionMatch") === "Exact"
    const { items, version } = yield* store.list(kind, namespace, exact ? wanted : undefined)
    return json(listOf(kind, { version, items: items.filter(selector) }))
  })

/** The version that a read wants at least; the real server waits three seconds for it before it refuses. */
const notInTheFuture = (store: ObjectStore.ObjectStore, query: URLSearchParams): Answer<number> =>
  Result.gen(function* () {
    const version = yield* Result.mapError(ApiRequest.resourceVersion(query), (why) =>
      ApiFailure.badRequest(`invalid resource version: ${why}`)
    )
    return version > store.version()
      ? yield* Result.fail(ApiFailure.versionTooLarge(String(version), store.version()))
      : version
  })

/** As on the real server, the items of a list do not repeat its kind. */
const listOf = (kind: ResourceKind.ResourceKind, { items, version }: ObjectStore.Listing): object => ({
  kind: `${kind.kind}List`,
  apiVersion: ResourceKind.apiVersion(kind),
  metadata: { resourceVersion: String(version) },
  items: items.map(({ apiVersion: _apiVersion, kind: _kind, ...item }) => item)
})

const deleted = (kind: ResourceKind.ResourceKind, { metadata }: ApiObject.ApiObject): object => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: {
    name: metadata.name,
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.plural,
    uid: metadata.uid
  }
})
