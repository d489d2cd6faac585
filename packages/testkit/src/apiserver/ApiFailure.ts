/**
 * What the server answers instead of an object: the Kubernetes `Status`, with the words of kube-apiserver 1.36, so that
 * a program that reads them works the same on both. One constructor for each refusal that this server knows.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const StatusCause = Schema.Struct({
  reason: Schema.String,
  message: Schema.String,
  field: Schema.optionalKey(Schema.String)
})

const StatusDetails = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  group: Schema.optionalKey(Schema.String),
  kind: Schema.optionalKey(Schema.String),
  causes: Schema.optionalKey(Schema.Array(StatusCause)),
  retryAfterSeconds: Schema.optionalKey(Schema.Number)
})

type Details = typeof StatusDetails.Type

/**
 * A refused request: HTTP code, machine-readable reason and human-readable message of a Kubernetes `Status`.
 *
 * @since 0.1.0
 */
export class ApiFailure extends Schema.TaggedError<ApiFailure>()("ApiFailure", {
  code: Schema.Number,
  reason: Schema.optionalKey(Schema.String),
  message: Schema.String,
  details: Schema.optionalKey(StatusDetails)
}) {
  /** The `Status` object as it goes over the wire. */
  get status(): object {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason === undefined ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code
    }
  }
}

/** What a refusal is about. `plural` and `kind` are those of the resource, `group` is empty for the core group. */
export interface Subject {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

/** One violated rule of a field. */
export interface Violation {
  readonly reason: "FieldValueInvalid" | "FieldValueRequired" | "FieldValueForbidden"
  readonly field: string
  readonly message: string
}

const qualified = (name: string, group: string): string => (group === "" ? name : `${name}.${group}`)

const about = (kind: string, group: string, name: string): Details => ({
  ...(name === "" ? {} : { name }),
  ...(group === "" ? {} : { group }),
  kind
})

export const notFound = (subject: Subject, name: string): ApiFailure =>
  new ApiFailure({
    code: 404,
    reason: "NotFound",
    message: `${qualified(subject.plural, subject.group)} "${name}" not found`,
    details: about(subject.plural, subject.group, name)
  })

/** The path names no resource that is served. */
export const unknownResource = (): ApiFailure =>
  new ApiFailure({
    code: 404,
    reason: "NotFound",
    message: "the server could not find the requested resource",
    details: {}
  })

export const alreadyExists = (subject: Subject, name: string): ApiFailure =>
  new ApiFailure({
    code: 409,
    reason: "AlreadyExists",
    message: `${qualified(subject.plural, subject.group)} "${name}" already exists`,
    details: about(subject.plural, subject.group, name)
  })

const conflict = (word: string, group: string, name: string, why: string): ApiFailure =>
  new ApiFailure({
    code: 409,
    reason: "Conflict",
    message: `Operation cannot be fulfilled on ${qualified(word, group)} "${name}": ${why}`,
    details: about(word, group, name)
  })

/** The write named a version that is not the current one. */
export const staleVersion = (subject: Subject, name: string): ApiFailure =>
  conflict(
    subject.plural,
    subject.group,
    name,
    "the object has been modified; please apply your changes to the latest version and try again"
  )

/** The write named the uid of another object, or of one that is gone (`actual` is empty). */
export const wrongUid = (subject: Subject, key: string, name: string, wanted: string, actual: string): ApiFailure =>
  conflict(
    subject.plural,
    subject.group,
    name,
    `StorageError: invalid object, Code: 4, Key: /registry/${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${actual}`
  )

export const deleteWrongUid = (subject: Subject, name: string, wanted: string, actual: string): ApiFailure =>
  conflict(
    subject.kind,
    subject.group,
    name,
    `the UID in the precondition (${wanted}) does not match the UID in record (${actual}). The object might have been deleted and then recreated`
  )

export const deleteWrongVersion = (subject: Subject, name: string, wanted: string, actual: string): ApiFailure =>
  conflict(
    subject.kind,
    subject.group,
    name,
    `the ResourceVersion in the precondition (${wanted}) does not match the ResourceVersion in record (${actual}). The object might have been modified`
  )

const invalidAs = (word: string, group: string, name: string, violations: ReadonlyArray<Violation>): ApiFailure => {
  const texts = violations.map((v) => `${v.field}: ${v.message}`)
  return new ApiFailure({
    code: 422,
    reason: "Invalid",
    message: `${qualified(word, group)} "${name}" is invalid: ${texts.length === 1 ? texts.join("") : `[${texts.join(", ")}]`}`,
    details: {
      ...about(word, group, name),
      causes: violations.map((v) => ({ reason: v.reason, message: v.message, field: v.field }))
    }
  })
}

export const invalid = (subject: Subject, name: string, violations: ReadonlyArray<Violation>): ApiFailure =>
  invalidAs(subject.kind, subject.group, name, violations)

/** An update of an existing object of a kind that does not allow to update whatever is there. */
export const versionRequired = (subject: Subject, name: string): ApiFailure =>
  invalidAs(subject.plural, subject.group, name, [
    {
      reason: "FieldValueInvalid",
      field: "metadata.resourceVersion",
      message: "Invalid value: 0: must be specified for an update"
    }
  ])

export const badRequest = (message: string): ApiFailure => new ApiFailure({ code: 400, reason: "BadRequest", message })

/** The body is JSON but not an object of the kind. */
export const undecodable = (kind: string, version: string, why: string): ApiFailure =>
  badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`)

/** The history no longer reaches back to the version. */
export const expired = (message: string): ApiFailure => new ApiFailure({ code: 410, reason: "Expired", message })

/** The version lies in the future: this server never wrote it. */
export const versionTooLarge = (wanted: string, current: number): ApiFailure =>
  new ApiFailure({
    code: 504,
    reason: "Timeout",
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    details: {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1
    }
  })

export const unauthorized = (): ApiFailure =>
  new ApiFailure({ code: 401, reason: "Unauthorized", message: "Unauthorized" })

export const forbidden = (plural: string, group: string, name: string, why: string): ApiFailure =>
  new ApiFailure({
    code: 403,
    reason: "Forbidden",
    message: `${qualified(plural, group)}${name === "" ? "" : ` "${name}"`} is forbidden: ${why}`,
    details: about(plural, group, name)
  })

export const forbiddenPath = (why: string): ApiFailure =>
  new ApiFailure({ code: 403, reason: "Forbidden", message: `forbidden: ${why}`, details: {} })

export const methodNotAllowed = (): ApiFailure =>
  new ApiFailure({
    code: 405,
    reason: "MethodNotAllowed",
    message: "the server does not allow this method on the requested resource",
    details: {}
  })

export const notAcceptable = (): ApiFailure =>
  new ApiFailure({
    code: 406,
    reason: "NotAcceptable",
    message: "406: Not Acceptable\n\nAvailable representations: application/json",
    details: {}
  })

export const bodyTooLarge = (limit: number): ApiFailure =>
  new ApiFailure({
    code: 413,
    reason: "RequestEntityTooLarge",
    message: `Request entity too large: limit is ${limit}`
  })

export const unsupportedBody = (): ApiFailure =>
  new ApiFailure({
    code: 415,
    reason: "UnsupportedMediaType",
    message: "the body of the request was in an unknown format - accepted media types include: application/json"
  })

export const unsupportedPatch = (): ApiFailure =>
  new ApiFailure({ code: 415, reason: "UnsupportedMediaType", message: "415: Unsupported Media Type", details: {} })

/** What the real server answers where it did not foresee the input: no reason, code 500. */
export const unforeseen = (message: string): ApiFailure => new ApiFailure({ code: 500, message })
