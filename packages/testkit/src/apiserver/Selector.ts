/**
 * Field and label selectors: which objects a list or a watch is about. Fields compare by `=`, `==` and `!=`; labels also
 * by `in`, `notin` and presence.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as ApiFailure from "./ApiFailure.ts"
import type { ApiObject } from "./ApiObject.ts"
import type { ResourceKind } from "./ResourceKind.ts"

export type Selector = (object: ApiObject) => boolean

/** Both selectors of a query, as one. */
export const fromQuery = (kind: ResourceKind, query: URLSearchParams): Result.Result<Selector, ApiFailure.ApiFailure> =>
  Result.gen(function* () {
    const fields = yield* fieldSelector(kind, query.get("fieldSelector") ?? "")
    const labels = yield* labelSelector(query.get("labelSelector") ?? "")
    return (object: ApiObject) => fields(object) && labels(object)
  })

/** The name that a field selector asks for, which is what RBAC goes by; empty when it asks for none. */
export const nameIn = (text: string): string => /(?:^|,)metadata\.name==?([^,]+)/.exec(text)?.[1] ?? ""

const everything: Selector = () => true

const fieldSelector = (kind: ResourceKind, text: string): Result.Result<Selector, ApiFailure.ApiFailure> =>
  Result.gen(function* () {
    let selector = everything
    for (const term of text.split(",").filter((term) => term !== "")) {
      const [, field = "", operator, wanted = ""] = /^([^=!]+)(!=|==|=)(.*)$/.exec(term) ?? []
      if (operator === undefined) {
        return yield* Result.fail(ApiFailure.badRequest(`invalid selector: '${text}'; can't understand '${term}'`))
      }
      const known = ["metadata.name", "metadata.namespace", ...kind.selectableFields]
      if (!known.includes(field)) {
        return yield* Result.fail(
          ApiFailure.badRequest(
            `${JSON.stringify(field)} is not a known field selector: only ${known.map((name) => JSON.stringify(name)).join(", ")}`
          )
        )
      }
      const rest = selector
      selector = (object) => rest(object) && (valueAt(object, field) === wanted) === (operator !== "!=")
    }
    return selector
  })

const valueAt = (object: ApiObject, path: string): string => {
  let value: unknown = object
  for (const step of path.split(".")) value = Predicate.hasProperty(value, step) ? value[step] : undefined
  return typeof value === "string" ? value : ""
}

const labelSelector = (text: string): Result.Result<Selector, ApiFailure.ApiFailure> =>
  Result.gen(function* () {
    let selector = everything
    for (const term of splitTerms(text)) {
      const requirement = requirementOf(term)
      if (requirement === undefined) {
        return yield* Result.fail(ApiFailure.badRequest(`unable to parse requirement: ${JSON.stringify(term)}`))
      }
      const rest = selector
      selector = (object) => rest(object) && requirement(object.metadata.labels ?? {})
    }
    return selector
  })

/** Splits at the commas that are not inside parentheses. */
const splitTerms = (text: string): ReadonlyArray<string> =>
  text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== "")

type Labels = { readonly [key: string]: string }

const requirementOf = (term: string): ((labels: Labels) => boolean) | undefined => {
  const [, absent, present] = /^(!?)\s*([\w./-]+)$/.exec(term) ?? []
  if (present !== undefined) return (labels) => Object.hasOwn(labels, present) === (absent !== "!")
  const [, key, operator, value] = /^([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)$/.exec(term) ?? []
  if (key !== undefined) return (labels) => (labels[key] === value) === (operator !== "!=")
  const [, subject, word, list] = /^([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term) ?? []
  if (subject === undefined || list === undefined) return undefined
  const values = new Set<string | undefined>(list.split(",").map((value) => value.trim()))
  return (labels) => values.has(labels[subject]) === (word === "in")
}
