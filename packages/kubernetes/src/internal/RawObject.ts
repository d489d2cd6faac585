/** Fields of raw objects, read and laid over without losing any other. */
import * as Schema from "effect/Schema"
import type { KubernetesObject } from "../KubernetesObject.ts"

export interface Fields {
  readonly [name: string]: unknown
}

const isFields = Schema.is(Schema.Record(Schema.String, Schema.Unknown))

/** The value if it has fields, else none: null and what is absent are the same to the API. */
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})

export const labelOf = ({ metadata }: KubernetesObject, label: string): string | undefined => metadata.labels?.[label]

/** With the labels laid over; a label that is undefined is removed. */
export const withLabels = (
  object: KubernetesObject,
  wanted: { readonly [label: string]: string | undefined }
): KubernetesObject => {
  const labels = { ...object.metadata.labels }
  for (const [label, value] of Object.entries(wanted)) {
    if (value === undefined) delete labels[label]
    else labels[label] = value
  }
  const isNone = Object.keys(labels).length === 0 && !object.metadata.labels
  return isNone ? object : { ...object, metadata: { ...object.metadata, labels } }
}
