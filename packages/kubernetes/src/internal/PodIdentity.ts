/**
 * Finds out which pod this process is, and from where it knows each part.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Pod } from "../Identity.ts"
import * as ServiceAccountFiles from "./ServiceAccountFiles.ts"

/** What is not in the environment's variables. */
export interface Surroundings {
  /** The folder with the pod's token and namespace. */
  readonly serviceAccount: string
  /** The host's own name. */
  readonly host: string
  /** The process id. */
  readonly process: number
  /** The namespace of a process that is told none. */
  readonly namespace: string
}

type Sources = { readonly [Field in keyof Pod]: string }

interface Found {
  readonly value: string
  readonly source: string
}

export const find = Effect.fnUntraced(function* (surroundings: Surroundings) {
  const account = yield* ServiceAccountFiles.read(surroundings.serviceAccount)
  const claimed = (value: string | undefined) => found(value, "the token of the service account")
  const isPod = yield* Effect.map(variable("KUBERNETES_SERVICE_HOST"), (host) => host !== undefined)

  const told = (yield* variable("POD_NAME")) ?? claimed(account.claims.pod?.name)
  const host = (yield* variable("HOSTNAME")) ?? { value: surroundings.host, source: "the host's name" }
  const name = told ?? (isPod ? host : ofProcess(host, surroundings.process))
  const namespace = (yield* variable("POD_NAMESPACE")) ??
    found(account.namespace, "the namespace of the service account") ??
    claimed(account.claims.namespace) ?? { value: surroundings.namespace, source: "the client's default namespace" }
  // A token that was issued to another pod says nothing of this one.
  const own = account.claims.pod?.name === name.value ? account.claims : undefined
  return assemble(told !== undefined || isPod, {
    name,
    namespace,
    uid: (yield* variable("POD_UID")) ?? claimed(own?.pod?.uid),
    node: (yield* variable("NODE_NAME")) ?? claimed(own?.node?.name),
    address: yield* variable("POD_IP")
  })
})

/** The sources of a pod that the program names itself. */
export const given = (pod: Pod): Sources => ({
  name: "the program",
  namespace: "the program",
  ...(pod.uid === undefined ? {} : { uid: "the program" }),
  ...(pod.node === undefined ? {} : { node: "the program" }),
  ...(pod.address === undefined ? {} : { address: "the program" })
})

const found = (value: string | undefined, source: string): Found | undefined =>
  value === undefined || value === "" ? undefined : { value, source }

/** A manifest that sets a variable to nothing does not set it. */
const variable = (name: string) =>
  Effect.map(Config.option(Config.String(name)), (value) => found(Option.getOrUndefined(value)?.trim(), name))

/** Several processes of one host need several names. */
const ofProcess = (host: Found, process: number): Found => ({
  value: `${host.value}-${process}`,
  source: `${host.source} and the process id`
})

interface Parts {
  readonly name: Found
  readonly namespace: Found
  readonly uid: Found | undefined
  readonly node: Found | undefined
  readonly address: Found | undefined
}

const assemble = (isPod: boolean, parts: Parts): Pod & { readonly isPod: boolean; readonly sources: Sources } => ({
  ...select(parts, (part) => part.value),
  isPod,
  sources: select(parts, (part) => part.source)
})

const select = ({ address, name, namespace, node, uid }: Parts, part: (found: Found) => string): Sources & Pod => ({
  name: part(name),
  namespace: part(namespace),
  ...(uid === undefined ? {} : { uid: part(uid) }),
  ...(node === undefined ? {} : { node: part(node) }),
  ...(address === undefined ? {} : { address: part(address) })
})
