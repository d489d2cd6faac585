/**
 * One object of the cluster that only the newest leader changes. Its annotations say which lock's term wrote it last, and
 * a writer lays its own fields over the raw object that it read, refuses when a newer term has been there, and sends uid
 * and version along. Three things keep a stale leader out:
 *
 * - The object is read before the term is found valid, and the write compares with that version. What was read then
 *   cannot be newer than the term, so a write of a newer leader always makes a late one of an older leader fail (409).
 * - After a conflict the object is read again: a newer token of the same lock ends it.
 * - A server that got the write and a client that did not hear of it: the next attempt reads.
 *
 * Tokens of different locks do not compare (a program that moved to another lock has a smaller one, perhaps). What
 * another lock's term had written before this term first looked is taken over: the mere compare-and-set keeps order
 * there. What it writes later is another election on the same object, and wins, so that the two do not take it from each
 * other for ever.
 */
import type { Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isDeepStrictEqual } from "node:util"
import type { KubernetesError } from "../KubernetesError.ts"
import { describe, type KubernetesObject, type ObjectReference } from "../KubernetesObject.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import { isAbsent, isLost } from "./LockFailure.ts"
import type { PodGone } from "./OwnPod.ts"

/** The term that writes, or that wrote last. */
export interface Mark {
  readonly lock: string
  readonly token: bigint
}

/** The annotations that it is kept in. */
export interface MarkKeys {
  readonly lock: string
  readonly token: string
}

/** What a leader wants of an object; changes nothing when it is so already. */
export type Overlay = (object: KubernetesObject) => KubernetesObject

/**
 * The object is not to be written by this term.
 */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/**
 * Others change the object as fast as this one does.
 */
export class Contended extends Schema.TaggedError<Contended>()("Contended", { object: Schema.String }) {
  override get message(): string {
    return `${this.object} is changed by others all the time: ${mostConflicts} writes met another one each`
  }
}

/** Runs a write if the term is valid: `term.guard`. */
export type Admit = Term.TermShape["guard"]

export type Forbids = (object: KubernetesObject) => Fenced | PodGone | undefined

export interface Options {
  readonly client: KubernetesClient["Service"]
  readonly reference: ObjectReference
  readonly keys: MarkKeys
  readonly own: Mark
  /** As it is made when it is absent. Without it that is a failure. */
  readonly fresh?: KubernetesObject
  /** Why the object is not to be touched, whoever marked it. */
  readonly forbids?: Forbids
  /** The object routes to nobody. Then it may be taken although another lock's term wrote it: that one gave it up. */
  readonly toNobody?: Overlay
  /** As it was read just now, which saves reading it. */
  readonly known?: KubernetesObject
}

export type Failure = Contended | Fenced | PodGone | KubernetesError

export interface FencedObject {
  /**
   * Makes the object as wanted. Writes only if it is not. Begins with what is known from the last write or from a watch,
   * else reads.
   */
  readonly write: (overlay: Overlay, admit: Admit) => Effect.Effect<KubernetesObject, Failure | Term.NotLeading>
  /**
   * Undoes what this term may have written. Needs no valid term: it takes away and never gives, and writes nothing over
   * another term's.
   */
  readonly undo: (overlay: Overlay) => Effect.Effect<"Nothing" | "Undone", Failure>
  /** Takes in what a watch told, or that nothing is known any more. */
  readonly saw: (object: KubernetesObject | undefined) => void
  /** Whether `write` would leave it as it is. */
  readonly isAsWanted: (overlay: Overlay, object: KubernetesObject) => boolean
}

const mostConflicts = 10

export const make = ({
  client,
  forbids,
  fresh,
  keys,
  known: given,
  own,
  reference,
  toNobody
}: Options): FencedObject => {
  let known = given
  let inherited: Mark | undefined
  let hasLooked = false
  let mayHaveWritten = false

  const read = client.get(reference)
  const readOrFresh =
    fresh === undefined
      ? read
      : Effect.catchIf(
          read,
          (error) => isAbsent(error.reason, reference),
          () => Effect.succeed(fresh)
        )

  const refusal = (object: KubernetesObject): Fenced | PodGone | undefined => {
    const mark = markOf(keys, object)
    if (!hasLooked) inherited = mark
    hasLooked = true
    const forbidden = forbids?.(object)
    if (forbidden !== undefined) return forbidden
    if (mark === undefined) return undefined
    if (mark.lock === own.lock) return mark.token > own.token ? new Fenced({ detail: sayNewer(mark) }) : undefined
    return isDeepStrictEqual(mark, inherited) || isGivenUp(object) ? undefined : new Fenced({ detail: sayOther(mark) })
  }

  const isGivenUp = (object: KubernetesObject) => toNobody !== undefined && isDeepStrictEqual(toNobody(object), object)

  const sayNewer = ({ lock, token }: Mark) =>
    `${describe(reference)} was written by term ${token} of ${lock}, which is newer than this one (${own.token}): it is ` +
    `left alone. If no such term can have been (the object was copied from another cluster, or the tokens of the lock began anew), ` +
    `remove its annotation ${keys.token}`
  const sayOther = ({ lock, token }: Mark) =>
    `${describe(reference)} was taken over by term ${token} of another lock, ${lock}: it is left alone until that one ` +
    `gives it up, or the next term. Two elections must not route the same object. If no candidate of ${lock} is left, ` +
    `remove its annotation ${keys.lock}`

  const send = (object: KubernetesObject): Effect.Effect<KubernetesObject | undefined, KubernetesError> => {
    const creates = object.metadata.resourceVersion === undefined
    return Effect.suspend(() => {
      mayHaveWritten = true
      return creates ? client.create(reference, object) : client.update(reference, object)
    }).pipe(
      Effect.catchIf(
        (error) => isLost(error.reason, reference, creates),
        () => Effect.succeed(undefined)
      )
    )
  }

  const attempt = <E>(
    overlay: Overlay,
    begin: Effect.Effect<KubernetesObject, KubernetesError>,
    admitted: (object: KubernetesObject) => Effect.Effect<KubernetesObject | undefined, E>
  ): Effect.Effect<KubernetesObject, Failure | E> =>
    Effect.gen(function* () {
      let object = known ?? (yield* begin)
      for (let conflicts = 0; conflicts < mostConflicts; conflicts++) {
        // Until the answer nobody knows what is there.
        known = undefined
        const why = refusal(object)
        if (why !== undefined) return yield* why
        const wanted = marked(keys, own, overlay(object))
        known = isDeepStrictEqual(wanted, object) ? object : yield* admitted(wanted)
        if (known !== undefined) return known
        object = yield* begin
      }
      return yield* new Contended({ object: describe(reference) })
    })

  return {
    write: (overlay, admit) => attempt(overlay, readOrFresh, (object) => admit(send(object))),
    undo: (overlay) =>
      Effect.suspend(() =>
        mayHaveWritten
          ? attempt(overlay, read, send).pipe(
              Effect.as("Undone" as const),
              // Gone, or a newer leader's: both are as good.
              Effect.catchIf(
                (error) =>
                  error._tag === "KubernetesError" ? isAbsent(error.reason, reference) : error._tag !== "Contended",
                () => Effect.succeed("Nothing" as const)
              )
            )
          : Effect.succeed("Nothing" as const)
      ),
    saw: (object) => {
      known = object
    },
    isAsWanted: (overlay, object) => isDeepStrictEqual(marked(keys, own, overlay(object)), object)
  }
}

/** Who wrote the object last; a mark without a token is that of a candidate that never led. */
export const markOf = (keys: MarkKeys, { metadata }: KubernetesObject): Mark | undefined => {
  const lock = metadata.annotations?.[keys.lock]
  const token = metadata.annotations?.[keys.token] ?? ""
  return lock === undefined ? undefined : { lock, token: /^\d+$/.test(token) ? BigInt(token) : 0n }
}

export const marked = (keys: MarkKeys, { lock, token }: Mark, object: KubernetesObject): KubernetesObject => ({
  ...object,
  metadata: {
    ...object.metadata,
    annotations: { ...object.metadata.annotations, [keys.lock]: lock, [keys.token]: String(token) }
  }
})
