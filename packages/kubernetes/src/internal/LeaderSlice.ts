/**
 * An EndpointSlice of a Service without a selector, with the leader's address as its only endpoint, and none while nobody
 * leads.
 */
import * as Effect from "effect/Effect"
import { isIPv6 } from "node:net"
import type { Pod } from "../Identity.ts"
import type { KubernetesObject, ObjectReference } from "../KubernetesObject.ts"
import { Fenced, type MarkKeys } from "./FencedObject.ts"
import { labelOf, withLabels } from "./RawObject.ts"
import type { Route } from "./Route.ts"

export interface Port {
  readonly name?: string
  readonly port: number
  readonly protocol?: "TCP" | "UDP" | "SCTP"
}

export interface Options {
  readonly pod: Pod
  readonly address: string
  readonly service: string
  readonly ports: ReadonlyArray<Port>
  readonly keys: MarkKeys
}

const serviceLabel = "kubernetes.io/service-name"
const managerLabel = "endpointslice.kubernetes.io/managed-by"
const manager = "effect-leader.dev"

export const nameOf = (service: string): string => `${service}-leader`

export const make = ({ address, keys, pod, ports, service }: Options): Route => {
  const reference: ObjectReference = {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    namespace: pod.namespace,
    name: nameOf(service)
  }
  const addressType = isIPv6(address) ? "IPv6" : "IPv4"
  const endpoint = {
    addresses: [address],
    conditions: { ready: true },
    targetRef: {
      kind: "Pod",
      namespace: pod.namespace,
      name: pod.name,
      ...(pod.uid === undefined ? {} : { uid: pod.uid })
    },
    ...(pod.node === undefined ? {} : { nodeName: pod.node })
  }
  // With the defaults of the API server, so that what it stores is what was wanted.
  const servedPorts = ports.map(({ name = "", port, protocol = "TCP" }) => ({ name, port, protocol }))
  const owned = (object: KubernetesObject) =>
    withLabels({ ...object, ports: servedPorts }, { [serviceLabel]: service, [managerLabel]: manager })

  return {
    object: reference,
    keys,
    fresh: {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: reference.name, namespace: pod.namespace },
      addressType
    },
    toSelf: (object) => ({ ...owned(object), endpoints: [endpoint] }),
    // An empty list is stored as null.
    toNobody: (object) => (object["endpoints"] ? { ...object, endpoints: [] } : object),
    forbids: (object) => {
      const other = labelOf(object, managerLabel)
      if (other !== undefined && other !== manager) {
        const whose = `is managed by ${other} (label ${managerLabel})`
        return new Fenced({ detail: `EndpointSlice ${JSON.stringify(reference.name)} ${whose}: it is left alone` })
      }
      const type = object["addressType"]
      return type === addressType
        ? undefined
        : new Fenced({
            detail:
              `EndpointSlice ${JSON.stringify(reference.name)} is for ${String(type)} addresses, which cannot be changed, and ` +
              `the address of this pod is ${address}: delete the EndpointSlice`
          })
    },
    atStart: Effect.void,
    before: () => Effect.void
  }
}
