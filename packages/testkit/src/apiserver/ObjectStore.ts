/**
 * The objects, their versions and their history: what etcd and the registry are to a real API server. One counter gives
 * every write of any object its version. It knows preconditions and nothing of HTTP, users or time zones; every
 * operation is synchronous, so each is atomic.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { randomInt, randomUUID } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import * as ApiFailure from "./ApiFailure.ts"
import type { ApiObject, Draft, ObjectMeta } from "./ApiObject.ts"
import * as MetadataRules from "./MetadataRules.ts"
import * as ResourceKind from "./ResourceKind.ts"

type Answer<A> = Result.Result<A, ApiFailure.ApiFailure>

/** Names one object; `namespace` is empty for kinds that have none. */
export interface Address {
  readonly kind: ResourceKind.ResourceKind
  readonly namespace: string
  readonly name: string
}

/** One write. `object` of a deletion is the last state under the version of the deletion. */
export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly version: number
  readonly address: Address
  readonly object: ApiObject
  readonly previous: ApiObject | undefined
}

export interface Listing {
  readonly version: number
  readonly items: ReadonlyArray<ApiObject>
}

export interface Written {
  readonly object: ApiObject
  readonly created: boolean
}

export interface Preconditions {
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
}

export interface ObjectStore {
  /** The version of the latest write. */
  readonly version: () => number
  readonly get: (address: Address) => Answer<ApiObject>
  /** All objects of a kind, in one namespace or (undefined) in all, now or as they were at version `at`. */
  readonly list: (kind: ResourceKind.ResourceKind, namespace: string | undefined, at?: number) => Answer<Listing>
  readonly create: (kind: ResourceKind.ResourceKind, namespace: string, draft: Draft) => Answer<ApiObject>
  /** Replaces, or creates where the kind allows that and `mayCreate` agrees. */
  readonly update: (address: Address, draft: Draft, mayCreate: () => Answer<void>) => Answer<Written>
  /** Returns the last state under the version of the deletion. */
  readonly remove: (address: Address, preconditions: Preconditions) => Answer<ApiObject>
  /** Every change after a version, oldest first; fails with Expired when the history does not reach back. */
  readonly since: (version: number) => Answer<ReadonlyArray<Change>>
  /** Calls `listener` after each change, within the write, until the returned function is called. */
  readonly subscribe: (listener: (change: Change) => void) => () => void
  /** Forgets all history, and moves the counter on so that every version seen so far is too old to resume from. */
  readonly compact: () => void
}

export interface Settings {
  /** The time as RFC 3339 with whole seconds. */
  readonly now: () => string
  /** How many changes can be resumed from. */
  readonly historyLimit: number
}

export const make = (settings: Settings): ObjectStore => {
  const objects = new Map<string, { readonly address: Address; readonly object: ApiObject }>()
  const listeners = new Set<(change: Change) => void>()
  let history: Array<Change> = []
  let counter = 0
  /** Changes after this version are all in `history`. */
  let forgottenUpTo = 0

  const commit = (type: Change["type"], address: Address, next: ApiObject, previous: ApiObject | undefined) => {
    counter += 1
    const object = { ...next, metadata: { ...next.metadata, resourceVersion: String(counter) } }
    if (type === "DELETED") objects.delete(keyOf(address))
    else objects.set(keyOf(address), { address, object })
    const change: Change = { type, version: counter, address, object, previous }
    history.push(change)
    if (history.length > settings.historyLimit) forgottenUpTo = history.shift()?.version ?? forgottenUpTo
    for (const listener of listeners) listener(change)
    return object
  }

  const get: ObjectStore["get"] = (address) => {
    const found = objects.get(keyOf(address))
    return found === undefined
      ? Result.fail(ApiFailure.notFound(address.kind, address.name))
      : Result.succeed(found.object)
  }

  const insert = (address: Address, draft: Draft): Answer<ApiObject> => {
    const { kind, name, namespace } = address
    if (kind.namespaced && !objects.has(keyOf({ kind: ResourceKind.namespaces, namespace: "", name: namespace }))) {
      return Result.fail(ApiFailure.notFound(ResourceKind.namespaces, namespace))
    }
    const object = assemble(kind, draft, {
      name,
      ...(kind.namespaced ? { namespace } : {}),
      uid: randomUUID(),
      resourceVersion: "",
      creationTimestamp: settings.now()
    })
    const violations = [...MetadataRules.check(object.metadata), ...kind.validate(object)]
    if (violations.length > 0) return Result.fail(ApiFailure.invalid(kind, name, violations))
    return Result.succeed(commit("ADDED", address, object, undefined))
  }

  const create: ObjectStore["create"] = (kind, namespace, draft) => {
    const { generateName, name = "", resourceVersion = "" } = draft.metadata
    if (resourceVersion !== "" && resourceVersion !== "0") {
      return Result.fail(ApiFailure.unforeseen("resourceVersion should not be set on objects to be created"))
    }
    if (name === "" && (generateName === undefined || generateName === "")) {
      return Result.fail(ApiFailure.invalid(kind, "", [MetadataRules.nameRequired]))
    }
    const address = { kind, namespace, name: name === "" ? `${generateName}${randomSuffix()}` : name }
    return objects.has(keyOf(address))
      ? Result.fail(ApiFailure.alreadyExists(kind, address.name))
      : insert(address, draft)
  }

  const replace = (address: Address, current: ApiObject, draft: Draft): Answer<Written> => {
    const { kind, name } = address
    const wanted = parseVersion(draft.metadata.resourceVersion)
    if (Result.isFailure(wanted)) return Result.fail(wanted.failure)
    if (wanted.success === 0 && !kind.unconditionalUpdate) return Result.fail(ApiFailure.versionRequired(kind, name))
    if (wanted.success !== 0 && String(wanted.success) !== current.metadata.resourceVersion) {
      return Result.fail(ApiFailure.staleVersion(kind, name))
    }
    const { creationTimestamp, namespace, resourceVersion, uid } = current.metadata
    const object = assemble(kind, draft, {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion,
      creationTimestamp
    })
    const violations = [...MetadataRules.check(object.metadata), ...kind.validate(object)]
    if (violations.length > 0) return Result.fail(ApiFailure.invalid(kind, name, violations))
    // As on the real server, a write that changes nothing is answered but makes no version and no event.
    if (isDeepStrictEqual(object, current)) return Result.succeed({ object: current, created: false })
    return Result.succeed({ object: commit("MODIFIED", address, object, current), created: false })
  }

  const update: ObjectStore["update"] = (address, draft, mayCreate) => {
    const { kind, name } = address
    const current = objects.get(keyOf(address))?.object
    const uid = draft.metadata.uid ?? ""
    if (current === undefined && uid === "" && !kind.createOnUpdate) {
      return Result.fail(ApiFailure.notFound(kind, name))
    }
    const currentUid = current?.metadata.uid ?? ""
    if (uid !== "" && uid !== currentUid) {
      return Result.fail(ApiFailure.wrongUid(kind, keyOf(address), name, uid, currentUid))
    }
    if (current !== undefined) return replace(address, current, draft)
    return Result.flatMap(mayCreate(), () =>
      Result.map(insert(address, draft), (object) => ({ object, created: true }))
    )
  }

  const remove: ObjectStore["remove"] = (address, preconditions) =>
    Result.flatMap(get(address), (current): Answer<ApiObject> => {
      const { resourceVersion, uid } = current.metadata
      const { kind, name } = address
      if (preconditions.uid !== undefined && preconditions.uid !== uid) {
        return Result.fail(ApiFailure.deleteWrongUid(kind, name, preconditions.uid, uid))
      }
      if (preconditions.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
        return Result.fail(ApiFailure.deleteWrongVersion(kind, name, preconditions.resourceVersion, resourceVersion))
      }
      if (kind === ResourceKind.namespaces) {
        // The real server leaves this to a controller; here the namespace is empty at once.
        for (const inside of [...objects.values()].filter((entry) => entry.address.namespace === name)) {
          commit("DELETED", inside.address, inside.object, inside.object)
        }
      }
      return Result.succeed(commit("DELETED", address, current, current))
    })

  const list: ObjectStore["list"] = (kind, namespace, at = counter) => {
    if (at > counter) return Result.fail(ApiFailure.versionTooLarge(String(at), counter))
    if (at < forgottenUpTo) {
      return Result.fail(ApiFailure.expired("The resourceVersion for the provided list is too old."))
    }
    const then = new Map(objects)
    for (const change of history.toReversed()) {
      if (change.version <= at) break
      const key = keyOf(change.address)
      if (change.previous === undefined) then.delete(key)
      else then.set(key, { address: change.address, object: change.previous })
    }
    const chosen = [...then].filter(
      ([, { address }]) => address.kind === kind && (namespace === undefined || address.namespace === namespace)
    )
    return Result.succeed({
      version: at,
      items: chosen.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, { object }]) => object)
    })
  }

  return {
    version: () => counter,
    get,
    list,
    create,
    update,
    remove,
    since: (version) =>
      version < forgottenUpTo
        ? Result.fail(ApiFailure.expired(`too old resource version: ${version} (${forgottenUpTo})`))
        : Result.succeed(history.filter((change) => change.version > version)),
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    compact: () => {
      counter += 1
      forgottenUpTo = counter
      history = []
    }
  }
}

/** A version as clients send it in an object; absent is 0. */
const parseVersion = (text: string | undefined): Answer<number> =>
  text === undefined || text === ""
    ? Result.succeed(0)
    : /^\d+$/.test(text)
      ? Result.succeed(Number(text))
      : Result.fail(ApiFailure.unforeseen(`strconv.ParseUint: parsing "${text}": invalid syntax`))

/** As in etcd: `leases/default/reports`. */
const keyOf = ({ kind, name, namespace }: Address): string =>
  kind.namespaced ? `${kind.plural}/${namespace}/${name}` : `${kind.plural}/${name}`

/** What the client wrote, under the metadata that only the server decides. */
const assemble = (kind: ResourceKind.ResourceKind, draft: Draft, decided: ObjectMeta): ApiObject => {
  const { annotations, finalizers, generateName, labels, ownerReferences } = draft.metadata
  return {
    kind: kind.kind,
    apiVersion: ResourceKind.apiVersion(kind),
    metadata: {
      ...decided,
      ...(generateName === undefined ? {} : { generateName }),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      ...(finalizers === undefined ? {} : { finalizers })
    },
    ...draft.rest
  }
}

const suffixLetters = "bcdfghjklmnpqrstvwxz2456789"

const randomSuffix = (): string =>
  Array.from({ length: 5 }, () => suffixLetters.charAt(randomInt(suffixLetters.length))).join("")
