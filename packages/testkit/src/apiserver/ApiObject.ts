/**
 * A Kubernetes object, and how the server reads one: the fields it knows and no others, null means absent, a wrong
 * type is refused in the words of Go's decoder. What a kind knows is data (`Fields`), in one table per kind.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

/**
 * An object as the API serves it. `metadata` is complete for objects that come from the server.
 *
 * @since 0.1.0
 */
export interface ApiObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/**
 * The metadata that this server keeps.
 *
 * @since 0.1.0
 */
export interface ObjectMeta {
  readonly name: string
  readonly generateName?: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly labels?: { readonly [key: string]: string }
  readonly annotations?: { readonly [key: string]: string }
  readonly ownerReferences?: ReadonlyArray<unknown>
  readonly finalizers?: ReadonlyArray<unknown>
}

/** What a field may hold. `MicroTime` is a time with exactly six fraction digits, `any` is kept as it comes. */
export type FieldType =
  | "string"
  | "int32"
  | "bool"
  | "Time"
  | "MicroTime"
  | "map[string]string"
  | "array"
  | "any"
  | Struct

/** A nested object with known fields; written out even when it is empty, as Go does. */
export interface Struct {
  readonly struct: string
  readonly fields: Fields
}

export interface Fields {
  readonly [name: string]: FieldType
}

/** A body that was read: metadata is what the client sent of it, the rest is what the kind knows. */
export interface Draft {
  readonly metadata: Partial<ObjectMeta>
  readonly rest: { readonly [field: string]: unknown }
  /** Fields that were dropped because the kind does not know them. */
  readonly unknownFields: ReadonlyArray<string>
}

const metaFields: Fields = {
  name: "string",
  generateName: "string",
  namespace: "string",
  uid: "string",
  resourceVersion: "string",
  creationTimestamp: "Time",
  labels: "map[string]string",
  annotations: "map[string]string",
  ownerReferences: "array",
  finalizers: "array"
}

/** Metadata that clients may send and that this server does not keep. */
const ignoredMeta: ReadonlySet<string> = new Set([
  "managedFields",
  "generation",
  "selfLink",
  "deletionTimestamp",
  "deletionGracePeriodSeconds"
])

/** Reads a body as an object of `kind`; fails with the decoder's words. `fields` "any" keeps whatever is there. */
export const read = (
  kind: string,
  fields: Fields | "any",
  body: { readonly [field: string]: unknown }
): Result.Result<Draft, string> => {
  const { apiVersion: _apiVersion, kind: _kind, metadata: sentMeta, ...sent } = body
  const unknownFields: Array<string> = []
  return Result.gen(function* () {
    const metadata = yield* struct("ObjectMeta", "metadata", metaFields, sentMeta ?? {}, unknownFields)
    const rest = fields === "any" ? withoutNulls(sent) : yield* struct(kind, "", fields, sent, unknownFields)
    return { metadata, rest, unknownFields: unknownFields.filter((name) => !ignoredMeta.has(lastOf(name))) }
  })
}

const lastOf = (path: string): string => path.slice(path.lastIndexOf(".") + 1)

const withoutNulls = (value: { readonly [field: string]: unknown }): { readonly [field: string]: unknown } =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null))

type Json = { readonly [field: string]: unknown }

const struct = (
  owner: string,
  path: string,
  fields: Fields,
  value: unknown,
  unknownFields: Array<string>
): Result.Result<Json, string> =>
  Result.gen(function* () {
    if (!Predicate.isObject(value)) {
      return yield* Result.fail(mismatch(value, owner, path, owner))
    }
    const read: Record<string, unknown> = {}
    for (const [name, type] of Object.entries(fields)) {
      const sent = Predicate.hasProperty(value, name) ? value[name] : undefined
      const at = path === "" ? name : `${path}.${name}`
      if (typeof type === "object") {
        read[name] = yield* struct(type.struct, at, type.fields, sent ?? {}, unknownFields)
      } else if (sent !== undefined && sent !== null) {
        const taken = yield* scalar(owner, at, type, sent)
        if (!isEmptyCollection(taken)) read[name] = taken
      }
    }
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) unknownFields.push(path === "" ? name : `${path}.${name}`)
    }
    return read
  })

/** Go leaves empty maps and lists out. */
const isEmptyCollection = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0

const scalar = (
  owner: string,
  path: string,
  type: Exclude<FieldType, Struct>,
  value: unknown
): Result.Result<unknown, string> => {
  switch (type) {
    case "any":
      return Result.succeed(value)
    case "string":
      return typeof value === "string" ? Result.succeed(value) : Result.fail(mismatch(value, owner, path, "string"))
    case "bool":
      return typeof value === "boolean" ? Result.succeed(value) : Result.fail(mismatch(value, owner, path, "bool"))
    case "int32":
      return Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31
        ? Result.succeed(value)
        : Result.fail(mismatch(value, owner, path, "int32"))
    case "array":
      return Array.isArray(value) ? Result.succeed(value) : Result.fail(mismatch(value, owner, path, "[]"))
    case "map[string]string": {
      if (!Predicate.isObject(value)) return Result.fail(mismatch(value, owner, path, type))
      const wrong = Object.values(value).find((entry) => typeof entry !== "string")
      return wrong === undefined ? Result.succeed(value) : Result.fail(mismatch(wrong, owner, path, "string"))
    }
    case "Time":
      return typeof value === "string"
        ? time(value, "2006-01-02T15:04:05Z07:00", "")
        : Result.fail(mismatch(value, owner, path, "string"))
    case "MicroTime":
      return typeof value === "string"
        ? time(value, "2006-01-02T15:04:05.000000Z07:00", ".000000")
        : Result.fail(mismatch(value, owner, path, "string"))
  }
}

const mismatch = (value: unknown, owner: string, path: string, wanted: string): string => {
  const found = Array.isArray(value)
    ? "array"
    : typeof value === "boolean"
      ? "bool"
      : typeof value === "number" && wanted === "int32"
        ? `number ${value}`
        : typeof value
  return `json: cannot unmarshal ${found} into Go struct field ${owner}.${path} of type ${wanted}`
}

const clockTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/
const zone = /^(Z|[+-]\d{2}:\d{2})$/

/** Reads a time as Go does with a layout whose fraction is `fraction`, and writes it in UTC. */
const time = (text: string, layout: string, fraction: string): Result.Result<string, string> => {
  const cannot = (rest: string, as: string) =>
    Result.fail(`parsing time "${text}" as "${layout}": cannot parse "${rest}" as "${as}"`)
  const upToSeconds = clockTime.exec(text)?.[0]
  if (upToSeconds === undefined) return cannot(text, "2006")
  const afterSeconds = text.slice(upToSeconds.length)
  if (fraction !== "" && !/^\.\d{6}/.test(afterSeconds)) return cannot(afterSeconds, fraction)
  // A layout without a fraction takes any.
  const digits = fraction === "" ? (/^\.\d+/.exec(afterSeconds)?.[0] ?? "") : afterSeconds.slice(0, fraction.length)
  const rest = afterSeconds.slice(digits.length)
  if (!zone.test(rest)) return cannot(rest, "Z07:00")
  return Option.match(DateTime.make(upToSeconds + rest), {
    onNone: () => Result.fail(`parsing time "${text}": day out of range`),
    onSome: (instant) =>
      Result.succeed(`${DateTime.formatIso(instant).slice(0, upToSeconds.length)}${fraction === "" ? "" : digits}Z`)
  })
}
