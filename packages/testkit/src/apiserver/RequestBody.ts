/**
 * Reads the body of a write: JSON, of the kind and the name that the path says. Refusals have the real server's code and
 * order.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ApiFailure from "./ApiFailure.ts"
import * as ApiObject from "./ApiObject.ts"
import type * as ObjectStore from "./ObjectStore.ts"
import * as ResourceKind from "./ResourceKind.ts"

type Answer<A> = Result.Result<A, ApiFailure.ApiFailure>

/** What a write is about, and how strictly its body is read. */
export interface Target {
  readonly kind: ResourceKind.ResourceKind
  readonly namespace: string
  /** Empty for a POST. */
  readonly name: string
  /** Unknown fields are refused, not dropped. */
  readonly strict: boolean
}

/** The object that a POST or a PUT carries. */
export const object = (target: Target, contentType: string, text: string): Answer<ApiObject.Draft> =>
  Result.gen(function* () {
    if (contentType !== "" && mediaType(contentType) !== "application/json") {
      return yield* Result.fail(ApiFailure.unsupportedBody())
    }
    const body = yield* parse(
      text,
      `the object provided is unrecognized (must be of type ${target.kind.kind}): couldn't get version/kind; json parse error`
    )
    return yield* draft(target, body)
  })

const patchTypes = new Set(["application/merge-patch+json", "application/strategic-merge-patch+json"])

/** The object that a merge patch makes of the current one. A strategic merge patch is read the same: lists are replaced. */
export const patched = (
  target: Target,
  contentType: string,
  text: string,
  current: ApiObject.ApiObject
): Answer<ApiObject.Draft> =>
  Result.gen(function* () {
    if (!patchTypes.has(mediaType(contentType))) return yield* Result.fail(ApiFailure.unsupportedPatch())
    const patch = yield* parse(text, "error decoding patch")
    const next = yield* draft(target, merge(current, patch))
    const { uid } = next.metadata
    if (uid !== undefined && uid !== current.metadata.uid) {
      return yield* Result.fail(
        ApiFailure.invalid(target.kind, target.name, [
          {
            reason: "FieldValueInvalid",
            field: "metadata.uid",
            message: `Invalid value: ${JSON.stringify(uid)}: field is immutable`
          }
        ])
      )
    }
    return next
  })

const DeleteOptions = Schema.Struct({
  preconditions: Schema.optional(
    Schema.NullOr(
      Schema.Struct({
        uid: Schema.optional(Schema.NullOr(Schema.String)),
        resourceVersion: Schema.optional(Schema.NullOr(Schema.String))
      })
    )
  )
})

const decodeDeleteOptions = Schema.decodeUnknownOption(DeleteOptions)

/** The preconditions that the body of a DELETE carries, if it has one. */
export const preconditions = (text: string): Answer<ObjectStore.Preconditions> =>
  text === ""
    ? Result.succeed({})
    : Result.flatMap(parse(text, "couldn't get version/kind; json parse error"), (body) =>
        Option.match(decodeDeleteOptions(body), {
          onNone: () => Result.fail(ApiFailure.badRequest("DeleteOptions cannot be decoded")),
          onSome: (options) =>
            Result.succeed({
              uid: options.preconditions?.uid ?? undefined,
              resourceVersion: options.preconditions?.resourceVersion ?? undefined
            })
        })
      )

const draft = (target: Target, body: JsonObject): Answer<ApiObject.Draft> =>
  Result.gen(function* () {
    const { kind, name, namespace } = target
    const wanted = ResourceKind.apiVersion(kind)
    const { apiVersion = wanted, kind: sentKind = kind.kind } = body
    if (apiVersion !== wanted || sentKind !== kind.kind) {
      return yield* Result.fail(
        ApiFailure.badRequest(
          `${String(sentKind)} of ${String(apiVersion)} cannot be handled as a ${kind.kind} of ${wanted}: unknown conversion`
        )
      )
    }
    const refuse = (why: string) => ApiFailure.undecodable(kind.kind, kind.version, why)
    const draft = yield* Result.mapError(ApiObject.read(kind.kind, kind.fields, body), refuse)
    if (target.strict && draft.unknownFields.length > 0) {
      const unknown = draft.unknownFields.map((field) => `unknown field ${JSON.stringify(field)}`)
      return yield* Result.fail(refuse(`strict decoding error: ${unknown.join(", ")}`))
    }
    const sentName = draft.metadata.name ?? ""
    if (name !== "" && sentName !== name) {
      return yield* Result.fail(
        ApiFailure.badRequest(
          sentName === ""
            ? `the name of the object (${name} based on URL) was undeterminable: name must be provided`
            : `the name of the object (${sentName}) does not match the name on the URL (${name})`
        )
      )
    }
    const sentNamespace = draft.metadata.namespace ?? ""
    if (kind.namespaced && sentNamespace !== "" && sentNamespace !== namespace) {
      return yield* Result.fail(
        ApiFailure.badRequest("the namespace of the provided object does not match the namespace sent on the request")
      )
    }
    return draft
  })

type JsonObject = { readonly [field: string]: unknown }

const decodeJson = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const parse = (text: string, what: string): Answer<JsonObject> =>
  Result.mapError(decodeJson(text), () =>
    ApiFailure.badRequest(`${what}: ${text === "" ? "unexpected end of JSON input" : "not a JSON object"}`)
  )

const mediaType = (contentType: string): string => (contentType.split(";")[0] ?? "").trim().toLowerCase()

/** RFC 7386. */
const merge = (current: unknown, patch: JsonObject): JsonObject => {
  const merged: Record<string, unknown> = isJsonObject(current) ? { ...current } : {}
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete merged[field]
    else merged[field] = isJsonObject(value) ? merge(merged[field], value) : value
  }
  return merged
}

const isJsonObject = (value: unknown): value is JsonObject => Predicate.isObject(value) && !Array.isArray(value)
