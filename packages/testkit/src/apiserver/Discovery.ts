/**
 * What is served beside objects: health, the version, and the lists from which clients such as kubectl learn the kinds.
 *
 * @since 0.1.0
 */
import * as ResourceKind from "./ResourceKind.ts"

/** Open to clients without a token. */
export const isPublic = (path: string): boolean => /^\/(readyz|livez|healthz|version)$/.test(path)

/** A body for a path: text, JSON, or undefined when nothing is there. */
export const at = (path: string): string | object | undefined => {
  const [root, group, version, ...rest] = path.split("/").filter((segment) => segment !== "")
  if (rest.length > 0) return undefined
  switch (root) {
    case "readyz":
    case "livez":
    case "healthz":
      return "ok"
    case "version":
      return { major: "1", minor: "36", gitVersion: "v1.36.3+effect-leader", platform: "embedded" }
    case "api":
      return group === undefined
        ? { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] }
        : version === undefined
          ? resources("", group)
          : undefined
    case "apis":
      return group === undefined
        ? { kind: "APIGroupList", apiVersion: "v1", groups: groupNames().map(groupOf) }
        : version === undefined
          ? groupNames().includes(group)
            ? { kind: "APIGroup", apiVersion: "v1", ...groupOf(group) }
            : undefined
          : resources(group, version)
    default:
      return undefined
  }
}

const groupNames = (): ReadonlyArray<string> => [
  ...new Set(ResourceKind.all.map((kind) => kind.group).filter((group) => group !== ""))
]

const groupOf = (name: string) => {
  const versions = [...new Set(ResourceKind.all.filter((kind) => kind.group === name).map((kind) => kind.version))].map(
    (version) => ({ groupVersion: `${name}/${version}`, version })
  )
  return { name, versions, preferredVersion: versions[0] }
}

const resources = (group: string, version: string): object | undefined => {
  const kinds = ResourceKind.all.filter((kind) => kind.group === group && kind.version === version)
  return kinds.length === 0
    ? undefined
    : {
        kind: "APIResourceList",
        apiVersion: "v1",
        groupVersion: group === "" ? version : `${group}/${version}`,
        resources: kinds.map((kind) => ({
          name: kind.plural,
          singularName: kind.singular,
          namespaced: kind.namespaced,
          kind: kind.kind,
          verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
          shortNames: kind.shortNames
        }))
      }
}
