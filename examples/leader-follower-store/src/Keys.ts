/**
 * The store over HTTP. Any pod reads; what writes needs the term of the leader.
 */
import { LeaderElection, Term } from "@effect-leader/core"
import { Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Input from "./Input.ts"
import { refuse, Refusal, tryAgain } from "./Refusal.ts"
import { Store, type StoreError } from "./Store.ts"

const put = Effect.gen(function* () {
  const store = yield* Store
  const term = yield* LeaderElection.Term
  const write = yield* Input.readWrite
  const { isRepeated, sequence } = yield* term.guard(store.put(term.token, write))
  const body = { key: write.key, sequence, id: write.id, token: String(term.token) }
  return HttpServerResponse.jsonUnsafe(body, { status: isRepeated ? 200 : 201 })
}).pipe(
  Effect.catchTags({
    RequestReused: ({ message }) => Effect.fail(new Refusal({ status: 422, message })),
    // The store knows better than this pod's lease. The client sends it again; what becomes of the lock is Fence.ts's to say.
    StaleToken: (error) =>
      Effect.andThen(Effect.logWarning(error.message), Effect.fail(new Term.NotLeading({ reason: error.message }))),
    StoreError: onStoreError
  }),
  Effect.catchTag("Refusal", refuse)
)

const get = Effect.gen(function* () {
  const store = yield* Store
  const key = yield* Input.readKey
  const found = yield* store.get(key)
  if (Option.isNone(found)) return yield* new Refusal({ status: 404, message: `nothing is stored under ${key}` })
  return HttpServerResponse.jsonUnsafe({ key, ...found.value })
}).pipe(Effect.catchTag("StoreError", onStoreError), Effect.catchTag("Refusal", refuse))

const log = Effect.gen(function* () {
  const store = yield* Store
  const { after, limit } = yield* Input.readPage
  const entries = yield* store.entries(after, limit)
  return HttpServerResponse.jsonUnsafe({ entries: entries.map((entry) => ({ ...entry, token: String(entry.token) })) })
}).pipe(Effect.catchTag("StoreError", onStoreError), Effect.catchTag("Refusal", refuse))

/** The database's own words are for the log. */
function onStoreError(error: StoreError) {
  return Effect.andThen(
    Effect.logError(error.message),
    Effect.fail(tryAgain("the store does not answer; send the request again, a write under the same Idempotency-Key"))
  )
}

/** Answer 201 once the write is committed, 200 if it was already. */
export const writes = HttpRouter.add("PUT", "/keys/:key", put)

/** What any pod answers. */
export const reads = Layer.mergeAll(HttpRouter.add("GET", "/keys/:key", get), HttpRouter.add("GET", "/log", log))
