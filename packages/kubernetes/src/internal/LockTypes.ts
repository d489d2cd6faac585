/**
 * The kinds of objects that a lock can be.
 */
import type { ResourceType } from "../KubernetesObject.ts"
import { leaseType } from "./LeaseObject.ts"

export const lockTypes = {
  Lease: leaseType,
  ConfigMap: { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps" },
  Endpoints: { group: "", version: "v1", kind: "Endpoints", plural: "endpoints" }
} satisfies { readonly [kind: string]: ResourceType }

export type LockKind = keyof typeof lockTypes
