/**
 * Reads a collection page by page, so that no answer is too big for a server or a proxy on the way. Should the history
 * that the pages are read from be gone before the last one (410), all is asked for at once, as client-go does.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { excerpt, NotKubernetes, type KubernetesError } from "../KubernetesError.ts"
import { isKubernetesObject, type CollectionReference, type KubernetesObject } from "../KubernetesObject.ts"

type Reason = KubernetesError["reason"]

/** Which part of the collection a request is for; without a limit it is all. */
export interface Part {
  readonly limit?: number
  readonly continue?: string
}

/** The text of the answer to one request. */
export type Ask = (part: Part) => Effect.Effect<string, Reason>

const pageSize = 500

export const read = (collection: CollectionReference, ask: Ask) =>
  pages(collection, ask).pipe(
    Effect.catchIf(isGone, () => page(collection, ask({}))),
    Effect.map(({ items, resourceVersion }) => ({ items, resourceVersion }))
  )

const pages = Effect.fnUntraced(function* (collection: CollectionReference, ask: Ask) {
  const first = yield* page(collection, ask({ limit: pageSize }))
  const items = [...first.items]
  let { rest } = first
  while (rest !== "") {
    const next = yield* page(collection, ask({ limit: pageSize, continue: rest }))
    items.push(...next.items)
    rest = next.rest
  }
  return { ...first, items }
})

const isGone = (reason: Reason): boolean => reason._tag === "Refused" && reason.status === 410

interface Page {
  readonly items: ReadonlyArray<KubernetesObject>
  readonly resourceVersion: string
  /** What to ask for the next page with; empty after the last one. */
  readonly rest: string
}

const List = Schema.Struct({
  kind: Schema.String,
  metadata: Schema.Struct({
    resourceVersion: Schema.String,
    continue: Schema.optionalKey(Schema.NullOr(Schema.String))
  }),
  items: Schema.NullOr(Schema.Array(Schema.Record(Schema.String, Schema.Unknown)))
})

const decodeList = Schema.decodeUnknownOption(Schema.fromJsonString(List))

const page = <E>(
  collection: CollectionReference,
  answer: Effect.Effect<string, E>
): Effect.Effect<Page, E | NotKubernetes> =>
  Effect.flatMap(answer, (text) => {
    const list = Option.getOrUndefined(decodeList(text))
    const items = (list?.items ?? []).map((item) => named(collection, item))
    return list?.kind === `${collection.kind}List` && items.every(isKubernetesObject)
      ? Effect.succeed({
          items,
          resourceVersion: list.metadata.resourceVersion,
          rest: list.metadata.continue ?? ""
        })
      : Effect.fail(new NotKubernetes({ detail: `a ${collection.kind}List was asked for, and ${excerpt(text)} came` }))
  })

/** The items of a list need not repeat what the list says. */
const named = ({ group, kind, version }: CollectionReference, item: { readonly [field: string]: unknown }) => ({
  apiVersion: group === "" ? version : `${group}/${version}`,
  kind,
  ...item
})
