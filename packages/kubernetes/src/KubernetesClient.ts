/**
 * The client of one Kubernetes API server: reads, writes and watches objects as raw JSON. It finds the server and
 * authenticates with client-node's `KubeConfig`, and sends through Effect's `HttpClient` on one pool of connections that
 * lives as long as the layer.
 *
 * A request has no deadline of its own: interrupting it (by a timeout, say) aborts it on its socket at once. Only
 * connecting is limited (5 s), and a watch that is silent for longer than a bookmark takes. Nothing is retried, except
 * once after a 401 with the kubeconfig read again.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { bodyOf, isJson, readObject, refusalOf, successful, unreachable } from "./internal/Answer.ts"
import * as Collection from "./internal/Collection.ts"
import * as ConnectionPool from "./internal/ConnectionPool.ts"
import * as Credentials from "./internal/Credentials.ts"
import * as KubeConfigFiles from "./internal/KubeConfigFiles.ts"
import * as KubeConfigLoading from "./internal/KubeConfigLoading.ts"
import * as WatchStream from "./internal/WatchStream.ts"
import type { KubeConfigError } from "./KubeConfigError.ts"
import { excerpt, KubernetesError, NotKubernetes, Refused, type Verb } from "./KubernetesError.ts"
import {
  collectionPath,
  describe,
  objectPath,
  type CollectionReference,
  type KubernetesObject,
  type ObjectReference,
  type Reference
} from "./KubernetesObject.ts"

export { KubeConfigError } from "./KubeConfigError.ts"
export { KubernetesError, NoCredential, NotKubernetes, Refused, Unreachable, Verb } from "./KubernetesError.ts"
export { isKubernetesObject, KubernetesObject, ObjectMeta } from "./KubernetesObject.ts"
export type { CollectionReference, ObjectReference, ResourceType } from "./KubernetesObject.ts"
export type { WatchEvent } from "./internal/WatchStream.ts"

/**
 * @since 0.1.0
 */
export interface WatchOptions {
  /** Where to begin: after this version. Without it the watch begins with the object as it is, if it exists. */
  readonly resourceVersion?: string
  /** How long the watch may send nothing at all before it fails. 90 seconds; an API server sends something each minute. */
  readonly idleLimit?: Duration.Input
}

/**
 * Which objects of a collection; without a selector all of them.
 *
 * @since 0.1.0
 */
export interface ListOptions {
  /** As kubectl's `--selector`: `app=reports,tier!=test`. */
  readonly labelSelector?: string
  /** As kubectl's `--field-selector`: `status.phase=Running`. Which fields there are is up to the kind. */
  readonly fieldSelector?: string
}

/**
 * The objects of a collection at one version.
 *
 * @since 0.1.0
 */
export interface Listing {
  readonly items: ReadonlyArray<KubernetesObject>
  /** Where a watch goes on from. */
  readonly resourceVersion: string
}

/**
 * @since 0.1.0
 */
export class KubernetesClient extends Context.Service<
  KubernetesClient,
  {
    /** The URL of the API server. */
    readonly server: string
    /** The default namespace: the kubeconfig context's, in a pod the pod's own, else "default". */
    readonly namespace: string
    /** The object now: never older than a write that was answered before. */
    readonly get: (reference: ObjectReference) => Effect.Effect<KubernetesObject, KubernetesError>
    /**
     * The objects now, in as many requests as it takes. A Role allows it by a rule that names no object, or, when the
     * field selector is `metadata.name=NAME`, by one that names it.
     */
    readonly list: (collection: CollectionReference, options?: ListOptions) => Effect.Effect<Listing, KubernetesError>
    /** Makes it by POST. Of a collection alone the object's own name counts, or the server finds one. */
    readonly create: (
      reference: CollectionReference | ObjectReference,
      object: KubernetesObject
    ) => Effect.Effect<KubernetesObject, KubernetesError>
    /**
     * Replaces it by PUT. With uid and resourceVersion in the object it does so only if both are still current. With
     * neither it makes the object, where its type allows that, and is refused if it exists.
     */
    readonly update: (
      reference: ObjectReference,
      object: KubernetesObject
    ) => Effect.Effect<KubernetesObject, KubernetesError>
    /** What happens to the one object, until the server ends the watch (after five to ten minutes). */
    readonly watch: (
      reference: ObjectReference,
      options?: WatchOptions
    ) => Stream.Stream<WatchStream.WatchEvent, KubernetesError>
    /**
     * The client's life. What is added to it is done when all that stands on the client has ended, and while requests
     * are still sent: for last words.
     */
    readonly scope: Scope.Scope
  }
>()("@effect-leader/kubernetes/KubernetesClient") {}

/**
 * What requests say in `User-Agent`: the API server's audit log and metrics show it.
 *
 * @since 0.1.0
 */
export const UserAgent = Context.Reference<string>("@effect-leader/kubernetes/UserAgent", {
  defaultValue: () => "effect-leader"
})

const make = Effect.fnUntraced(function* (
  find: (parseYaml: KubeConfigFiles.ParseYaml) => Effect.Effect<KubeConfigFiles.Merged, KubeConfigError>
) {
  // Imported here because it takes a quarter of a second, which a program without this layer need not pay.
  const clientNode = yield* Effect.promise(() => import("@kubernetes/client-node"))
  const credentials = yield* Credentials.make(
    find((text) => clientNode.loadYaml(text)).pipe(
      Effect.flatMap((merged) => KubeConfigLoading.load(() => new clientNode.KubeConfig(), merged))
    )
  )
  const pool = yield* ConnectionPool.make
  const { namespace, server } = credentials.session().config

  const failed = (verb: Verb, reference: Reference) => (reason: KubernetesError["reason"]) =>
    new KubernetesError({ verb, resource: describe(reference), server, reason })

  const attempt = Effect.fnUntraced(function* (
    session: Credentials.Session,
    request: HttpClientRequest.HttpClientRequest
  ) {
    const { headers, trust } = yield* session.credential
    return yield* pool
      .execute(
        trust,
        request.pipe(
          HttpClientRequest.prependUrl(session.config.server),
          HttpClientRequest.setHeaders({ accept: "application/json", "user-agent": yield* UserAgent, ...headers })
        )
      )
      .pipe(Effect.mapError(unreachable))
  })

  /** The response, if its status is a success. */
  const send = Effect.fnUntraced(function* (
    verb: Verb,
    reference: Reference,
    request: HttpClientRequest.HttpClientRequest
  ) {
    const session = credentials.session()
    const first = yield* attempt(session, request)
    if (first.status !== 401) return yield* successful(verb, reference, first)

    const refusal = yield* refusalOf(verb, reference, first)
    const shown = `the server does not accept ${session.config.credential}`
    const renewed = yield* credentials
      .renew(session)
      .pipe(Effect.mapError((error) => advising(refusal, `${shown}; it could not be read again: ${error.message}`)))
    const second = yield* attempt(renewed, request)
    return yield* successful(verb, reference, second).pipe(
      Effect.mapError((reason) =>
        reason._tag === "Refused" && reason.status === 401
          ? advising(reason, `${shown}, and not after reading it again either`)
          : reason
      )
    )
  })

  const exchange = Effect.fnUntraced(function* (
    verb: Verb,
    reference: Reference,
    request: HttpClientRequest.HttpClientRequest
  ) {
    const response = yield* send(verb, reference, request)
    return yield* readObject(reference, yield* bodyOf(response))
  })

  const list = (collection: CollectionReference, options: ListOptions = {}) => {
    const ask = (part: Collection.Part) =>
      HttpClientRequest.get(collectionPath(collection)).pipe(
        HttpClientRequest.setUrlParams({ ...options, ...part }),
        (request) => send("list", collection, request),
        Effect.flatMap(bodyOf)
      )
    return Collection.read(collection, ask).pipe(Effect.mapError(failed("list", collection)))
  }

  const watch = (reference: ObjectReference, options?: WatchOptions) => {
    const idleLimit = Duration.fromInputUnsafe(options?.idleLimit ?? defaultIdleLimit)
    return Effect.gen(function* () {
      const request = HttpClientRequest.get(collectionPath(reference)).pipe(
        HttpClientRequest.setUrlParams({
          watch: "true",
          fieldSelector: `metadata.name=${reference.name}`,
          allowWatchBookmarks: "true",
          // Spread, so that the watchers of a server that restarted do not all come back in the same second.
          timeoutSeconds: yield* Random.nextIntBetween(300, 600),
          resourceVersion: options?.resourceVersion
        })
      )
      const response = yield* send("watch", reference, request).pipe(WatchStream.orSilent(idleLimit))
      if (!isJson(response)) {
        const body = yield* bodyOf(response).pipe(WatchStream.orSilent(idleLimit))
        return yield* new NotKubernetes({ detail: `the watch answered with ${excerpt(body)}` })
      }
      return response.stream.pipe(Stream.mapError(unreachable), WatchStream.decode(reference, idleLimit))
    }).pipe(Stream.unwrap, Stream.mapError(failed("watch", reference)))
  }

  return KubernetesClient.of({
    server,
    namespace,
    scope: yield* Effect.scope,
    get: Effect.fn("KubernetesClient.get")((reference) =>
      exchange("get", reference, HttpClientRequest.get(objectPath(reference))).pipe(
        Effect.mapError(failed("get", reference))
      )
    ),
    list: Effect.fn("KubernetesClient.list")(list),
    create: Effect.fn("KubernetesClient.create")((reference, object) =>
      exchange("create", reference, HttpClientRequest.post(collectionPath(reference)).pipe(json(object))).pipe(
        Effect.mapError(failed("create", reference))
      )
    ),
    update: Effect.fn("KubernetesClient.update")((reference, object) =>
      exchange("update", reference, HttpClientRequest.put(objectPath(reference)).pipe(json(object))).pipe(
        Effect.mapError(failed("update", reference))
      )
    ),
    watch
  })
})

const json = (object: KubernetesObject) => HttpClientRequest.bodyText(JSON.stringify(object), "application/json")

const defaultIdleLimit = Duration.seconds(90)

const advising = (refusal: Refused, advice: string): Refused => new Refused({ ...refusal, advice })

const fromSurroundings = (surroundings: () => KubeConfigFiles.Surroundings) =>
  Layer.effect(
    KubernetesClient,
    make((parseYaml) => Effect.suspend(() => KubeConfigFiles.find(parseYaml, surroundings())))
  )

/**
 * The server that kubectl would talk to: of KUBECONFIG (one or several files), else of ~/.kube/config, else, in a pod, by
 * its service account. A kubeconfig that cannot work fails the layer; a server that does not answer does not.
 *
 * @since 0.1.0
 */
export const layer: Layer.Layer<KubernetesClient, KubeConfigError> = fromSurroundings(
  KubeConfigFiles.processSurroundings
)

/**
 * The server of the current context in a given kubeconfig file.
 *
 * @since 0.1.0
 */
export const layerKubeConfig = (path: string): Layer.Layer<KubernetesClient, KubeConfigError> =>
  Layer.effect(
    KubernetesClient,
    make((parseYaml) => KubeConfigFiles.readOne(parseYaml, path))
  )
