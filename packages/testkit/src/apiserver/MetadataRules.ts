/**
 * What names, labels and annotations may look like, as the API server checks it for every kind.
 *
 * @since 0.1.0
 */
import type { Violation } from "./ApiFailure.ts"
import type { ObjectMeta } from "./ApiObject.ts"

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/

const nameWords =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const labelWords =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
const keyWords =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

/** An object to be created needs a name. */
export const nameRequired: Violation = {
  reason: "FieldValueRequired",
  field: "metadata.name",
  message: "Required value: name or generateName is required"
}

/** Every rule that the metadata breaks. */
export const check = (metadata: ObjectMeta): ReadonlyArray<Violation> => [
  ...(subdomain.test(metadata.name) && metadata.name.length <= 253 ? [] : [wrong("name", metadata.name, nameWords)]),
  ...Object.keys(metadata.labels ?? {}).flatMap((key) => checkKey("labels", key)),
  ...Object.values(metadata.labels ?? {}).flatMap((value) =>
    labelValue.test(value) && value.length <= 63 ? [] : [wrong("labels", value, labelWords)]
  ),
  ...Object.keys(metadata.annotations ?? {}).flatMap((key) => checkKey("annotations", key.toLowerCase()))
]

const wrong = (field: string, value: string, words: string): Violation => ({
  reason: "FieldValueInvalid",
  field: `metadata.${field}`,
  message: `Invalid value: ${JSON.stringify(value)}: ${words}`
})

const checkKey = (field: "labels" | "annotations", key: string): ReadonlyArray<Violation> => {
  const parts = key.split("/")
  const name = parts.at(-1) ?? ""
  const prefix = parts.length > 1 ? parts.slice(0, -1).join("/") : undefined
  return qualifiedName.test(name) && name.length <= 63 && (prefix === undefined || subdomain.test(prefix))
    ? []
    : [wrong(field, key, keyWords)]
}
