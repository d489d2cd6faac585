/**
 * The kinds of objects that are served, as a table. Everything else (paths, verbs, watches, RBAC) is the same for all of
 * them: a new kind is a new row.
 *
 * @since 0.1.0
 */
import type { Subject, Violation } from "./ApiFailure.ts"
import type { ApiObject, Fields } from "./ApiObject.ts"

export interface ResourceKind extends Subject {
  readonly version: string
  readonly singular: string
  readonly shortNames: ReadonlyArray<string>
  readonly namespaced: boolean
  /** A PUT of an absent object creates it. */
  readonly createOnUpdate: boolean
  /** A PUT without a version replaces whatever is there. */
  readonly unconditionalUpdate: boolean
  /** The fields beside apiVersion, kind and metadata; "any" keeps what comes. */
  readonly fields: Fields | "any"
  readonly validate: (object: ApiObject) => ReadonlyArray<Violation>
  /** What a field selector may name beside metadata.name and metadata.namespace. */
  readonly selectableFields: ReadonlyArray<string>
}

export const apiVersion = (kind: ResourceKind): string =>
  kind.group === "" ? kind.version : `${kind.group}/${kind.version}`

const valid = (): ReadonlyArray<Violation> => []

const core = (kind: string, plural: string, row: Partial<ResourceKind> = {}): ResourceKind => ({
  group: "",
  version: "v1",
  kind,
  plural,
  singular: kind.toLowerCase(),
  shortNames: [],
  namespaced: true,
  createOnUpdate: false,
  unconditionalUpdate: true,
  fields: "any",
  validate: valid,
  selectableFields: [],
  ...row
})

const leaseFields: Fields = {
  spec: {
    struct: "LeaseSpec",
    fields: {
      holderIdentity: "string",
      leaseDurationSeconds: "int32",
      acquireTime: "MicroTime",
      renewTime: "MicroTime",
      leaseTransitions: "int32"
    }
  }
}

/** What `LeaseSpec` rules beyond types. `strategy` and `preferredHolder` are dropped, as with their feature gate off. */
const validateLease = ({ spec }: ApiObject): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  const atLeast = (name: "leaseDurationSeconds" | "leaseTransitions", least: number, rule: string) => {
    const value = typeof spec === "object" && spec !== null && name in spec ? Reflect.get(spec, name) : undefined
    if (typeof value === "number" && value < least) {
      violations.push({
        reason: "FieldValueInvalid",
        field: `spec.${name}`,
        message: `Invalid value: ${value}: must be ${rule}`
      })
    }
  }
  atLeast("leaseDurationSeconds", 1, "greater than 0")
  atLeast("leaseTransitions", 0, "greater than or equal to 0")
  return violations
}

export const namespaces: ResourceKind = core("Namespace", "namespaces", {
  namespaced: false,
  shortNames: ["ns"],
  selectableFields: ["status.phase"]
})

export const leases: ResourceKind = core("Lease", "leases", {
  group: "coordination.k8s.io",
  createOnUpdate: true,
  unconditionalUpdate: false,
  fields: leaseFields,
  validate: validateLease
})

export const all: ReadonlyArray<ResourceKind> = [
  leases,
  namespaces,
  core("ConfigMap", "configmaps", {
    shortNames: ["cm"],
    fields: { data: "map[string]string", binaryData: "map[string]string", immutable: "bool" }
  }),
  core("Endpoints", "endpoints", { shortNames: ["ep"], createOnUpdate: true }),
  core("Event", "events", {
    shortNames: ["ev"],
    createOnUpdate: true,
    selectableFields: [
      "involvedObject.kind",
      "involvedObject.namespace",
      "involvedObject.name",
      "involvedObject.uid",
      "reason",
      "reportingComponent",
      "type"
    ]
  }),
  core("Pod", "pods", {
    shortNames: ["po"],
    selectableFields: ["spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP"]
  }),
  core("Service", "services", { shortNames: ["svc"], createOnUpdate: true }),
  core("EndpointSlice", "endpointslices", { group: "discovery.k8s.io" })
]

/** The kind with this plural in this group and version, as in a path. */
export const find = (group: string, version: string, plural: string): ResourceKind | undefined =>
  all.find((kind) => kind.group === group && kind.version === version && kind.plural === plural)
