/**
 * Watches: what happened to some objects since a version, as a stream of JSON lines that ends as a server ends it. A
 * watcher that does not read costs no other watcher anything, and is closed when too much waits for it.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomInt } from "node:crypto"
import * as ApiFailure from "./ApiFailure.ts"
import * as ApiObject from "./ApiObject.ts"
import * as ApiRequest from "./ApiRequest.ts"
import type * as ObjectStore from "./ObjectStore.ts"
import * as ResourceKind from "./ResourceKind.ts"
import * as Selector from "./Selector.ts"

export interface Watches {
  /** Fails for a request that makes no sense; a version that is too old is an event of the stream. */
  readonly open: (request: WatchRequest) => Result.Result<Stream.Stream<string>, ApiFailure.ApiFailure>
  /** Ends every open watch in order, as a server does when their time is over. */
  readonly closeAll: Effect.Effect<void>
}

export interface WatchRequest {
  readonly kind: ResourceKind.ResourceKind
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined
  readonly query: URLSearchParams
}

/** How many events may wait for a watcher that does not read. */
const backlogLimit = 10_000

type Answer<A> = Result.Result<A, ApiFailure.ApiFailure>

type Lines = Queue.Queue<string, Cause.Done>

export const make = (store: ObjectStore.ObjectStore, bookmarkInterval: Duration.Duration): Watches => {
  const open = new Set<Lines>()
  return {
    open: (request) =>
      Result.map(readOptions(request), (options) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const queue: Lines = yield* Queue.dropping<string, Cause.Done>(backlogLimit)
            open.add(queue)
            yield* Effect.addFinalizer(() => Effect.sync(() => open.delete(queue)))
            const past = yield* begin(store, options, queue)
            if (Result.isFailure(past)) return Stream.succeed(eventLine("ERROR", past.failure.status))
            const bookmark = Effect.sync(() => {
              if (options.bookmarks) Queue.offerUnsafe(queue, bookmarkLine(options.kind, store.version(), false))
            })
            yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(bookmarkInterval), bookmark)))
            yield* Effect.sleep(`${options.seconds} seconds`).pipe(
              Effect.andThen(bookmark),
              Effect.andThen(Queue.end(queue)),
              Effect.forkScoped
            )
            return Stream.concat(Stream.fromIterable(past.success), Stream.fromQueue(queue))
          })
        )
      ),
    closeAll: Effect.sync(() => {
      for (const queue of open) Queue.endUnsafe(queue)
    })
  }
}

interface Options {
  readonly kind: ResourceKind.ResourceKind
  readonly namespace: string | undefined
  readonly selector: Selector.Selector
  readonly seconds: number
  readonly bookmarks: boolean
  /** Begins with an ADDED for each object that exists. */
  readonly initial: boolean
  /** The version to resume from; 0: from now. */
  readonly from: number
}

const readOptions = ({ kind, namespace, query }: WatchRequest): Answer<Options> =>
  Result.gen(function* () {
    const from = yield* Result.mapError(ApiRequest.resourceVersion(query), ApiFailure.unforeseen)
    const initial = query.get("sendInitialEvents")
    return {
      kind,
      namespace,
      selector: yield* Selector.fromQuery(kind, query),
      // Without a limit as long as the real server lets one live; with one a day at most.
      seconds: Math.min((yield* ApiRequest.integer(query, "timeoutSeconds")) || randomInt(1800, 3600), 86_400),
      bookmarks: ApiRequest.flag(query, "allowWatchBookmarks"),
      initial: from === 0 ? initial !== "false" : initial === "true",
      from
    }
  })

/** Reads the lines up to now and, in the same turn, sees to it that later ones get into the queue. */
const begin = (
  store: ObjectStore.ObjectStore,
  options: Options,
  queue: Lines
): Effect.Effect<Answer<ReadonlyArray<string>>, never, Scope.Scope> => {
  const subscribe = () =>
    store.subscribe((change) => {
      const line = lineOf(change, options)
      if (line !== undefined && !Queue.offerUnsafe(queue, line)) Queue.endUnsafe(queue)
    })
  return Effect.acquireRelease(
    Effect.sync(() => ({ lines: past(store, options), unsubscribe: subscribe() })),
    ({ unsubscribe }) => Effect.sync(unsubscribe)
  ).pipe(Effect.map(({ lines }) => lines))
}

const past = (store: ObjectStore.ObjectStore, options: Options): Answer<ReadonlyArray<string>> => {
  const { bookmarks, from, initial, kind, namespace, selector } = options
  if (!initial) {
    return from === 0
      ? Result.succeed([])
      : Result.map(store.since(from), (changes) => changes.flatMap((change) => lineOf(change, options) ?? []))
  }
  return Result.map(store.list(kind, namespace), ({ items, version }) => {
    const lines = items.filter(selector).map((object) => eventLine("ADDED", object))
    return bookmarks ? [...lines, bookmarkLine(kind, version, true)] : lines
  })
}

/** The event that a change is for a watcher: an object can also enter or leave what is selected. */
const lineOf = (change: ObjectStore.Change, { from, kind, namespace, selector }: Options): string | undefined => {
  const { address, object, previous } = change
  // A version from the future, of a server that lost its data: nothing happens until the counter gets there.
  if (address.kind !== kind || change.version <= from) return undefined
  if (namespace !== undefined && address.namespace !== namespace) return undefined
  const was = previous !== undefined && selector(previous)
  const is = change.type !== "DELETED" && selector(object)
  if (is) return eventLine(was ? "MODIFIED" : "ADDED", object)
  if (!was) return undefined
  // What the watcher knew, under the version at which it is gone.
  const { resourceVersion } = object.metadata
  return eventLine("DELETED", { ...previous, metadata: { ...previous.metadata, resourceVersion } })
}

const eventLine = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`

const bookmarkLine = (kind: ResourceKind.ResourceKind, version: number, endsInitial: boolean): string =>
  eventLine("BOOKMARK", {
    kind: kind.kind,
    apiVersion: ResourceKind.apiVersion(kind),
    metadata: {
      resourceVersion: String(version),
      ...(endsInitial ? { annotations: { "k8s.io/initial-events-end": "true" } } : {})
    },
    ...Result.getOrThrow(ApiObject.read(kind.kind, kind.fields, {})).rest
  })
