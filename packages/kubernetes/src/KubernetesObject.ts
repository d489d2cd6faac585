/**
 * What the client sends and gets: raw JSON objects, and references that say where one lives. An object is kept as the
 * server sent it, so that reading and writing back loses no label, owner reference or newer field that this package
 * does not know.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * One kind of object of the API, e.g. Leases.
 *
 * @since 0.1.0
 */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
}

/**
 * All objects of one kind in a namespace; without a namespace in the whole cluster.
 *
 * @since 0.1.0
 */
export interface CollectionReference extends ResourceType {
  readonly namespace?: string
}

/**
 * One object by name. Without a namespace it is cluster-wide.
 *
 * @since 0.1.0
 */
export interface ObjectReference extends CollectionReference {
  readonly name: string
}

/** What a request is about. */
export type Reference = CollectionReference | ObjectReference

const unknownFields = [Schema.Record(Schema.String, Schema.Unknown)] as const

/**
 * The fields that this package reads; all others are kept as they are.
 *
 * @since 0.1.0
 */
export const ObjectMeta = Schema.StructWithRest(
  Schema.Struct({
    name: Schema.optionalKey(Schema.String),
    namespace: Schema.optionalKey(Schema.String),
    uid: Schema.optionalKey(Schema.String),
    resourceVersion: Schema.optionalKey(Schema.String),
    labels: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.String))),
    annotations: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))
  }),
  unknownFields
)

/**
 * Any object of the API.
 *
 * @since 0.1.0
 */
export const KubernetesObject = Schema.StructWithRest(
  Schema.Struct({ apiVersion: Schema.String, kind: Schema.String, metadata: ObjectMeta }),
  unknownFields
)

/**
 * @since 0.1.0
 */
export interface KubernetesObject extends Schema.Schema.Type<typeof KubernetesObject> {}

/**
 * True for what a Kubernetes API server sends as an object; false for a login page, a number or a list of strings.
 *
 * @since 0.1.0
 */
export const isKubernetesObject: (value: unknown) => value is KubernetesObject = Schema.is(KubernetesObject)

/** The path of all objects of the type in the reference's namespace. */
export const collectionPath = (reference: CollectionReference): string => {
  const group = reference.group === "" ? `/api/${reference.version}` : `/apis/${reference.group}/${reference.version}`
  const namespace = reference.namespace === undefined ? "" : `/namespaces/${encodeURIComponent(reference.namespace)}`
  return `${group}${namespace}/${reference.plural}`
}

/** The path of the one object. */
export const objectPath = (reference: ObjectReference): string =>
  `${collectionPath(reference)}/${encodeURIComponent(reference.name)}`

/**
 * How messages name it: `leases.coordination.k8s.io "reports" in namespace "default"`, and without the name a
 * collection.
 */
export const describe = (reference: Reference): string => {
  const type = reference.group === "" ? reference.plural : `${reference.plural}.${reference.group}`
  const name = "name" in reference ? ` ${JSON.stringify(reference.name)}` : ""
  const place = reference.namespace === undefined ? "" : ` in namespace ${JSON.stringify(reference.namespace)}`
  return `${type}${name}${place}`
}
