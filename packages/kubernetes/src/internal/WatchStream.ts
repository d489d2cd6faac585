/**
 * The body of a watch: one JSON event a line, split at any byte. It ends when the server ends it. It fails when a line is
 * no event, when the server reports an error in it (410: the history does not reach back that far), and when not a single
 * byte came for too long: an API server sends a bookmark about once a minute, so such a connection is dead.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { excerpt, NotKubernetes, refused, Unreachable, type Refused } from "../KubernetesError.ts"
import { KubernetesObject, type ObjectReference } from "../KubernetesObject.ts"

/**
 * What happened to an object. A BOOKMARK carries nothing but a resourceVersion to go on from.
 *
 * @since 0.1.0
 */
export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"
  readonly object: KubernetesObject
}

export const decode =
  (reference: ObjectReference, idleLimit: Duration.Duration) =>
  <E>(body: Stream.Stream<Uint8Array, E>): Stream.Stream<WatchEvent, E | NotKubernetes | Refused | Unreachable> =>
    body.pipe(
      (bytes) => Stream.transformPull(bytes, (pull) => Effect.succeed(orSilent(idleLimit)(pull))),
      Stream.decodeText(),
      Stream.splitLines,
      Stream.filter((line) => line !== ""),
      Stream.mapEffect((line) => Effect.fromResult(readEvent(reference, line)))
    )

/**
 * Fails when the effect takes too long. By a sleep and not, as `Stream.timeoutOrElse`, by the wall clock, which may be set
 * back by hours.
 */
export const orSilent =
  (idleLimit: Duration.Duration) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Unreachable, R> =>
    Effect.timeoutOrElse(effect, {
      duration: idleLimit,
      orElse: () =>
        Effect.fail(
          new Unreachable({ detail: `the watch was silent for ${Duration.format(idleLimit)}`, code: "SILENT" })
        )
    })

const Line = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ type: Schema.Literals(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]), object: KubernetesObject }),
    Schema.Struct({ type: Schema.Literal("ERROR"), object: Schema.Unknown })
  ])
)

const decodeLine = Schema.decodeUnknownResult(Line)

const readEvent = (reference: ObjectReference, line: string): Result.Result<WatchEvent, NotKubernetes | Refused> => {
  const decoded = decodeLine(line)
  if (Result.isFailure(decoded)) {
    return Result.fail(new NotKubernetes({ detail: `a line of the watch is no event: ${excerpt(line)}` }))
  }
  const event = decoded.success
  if (event.type === "ERROR") {
    return Result.fail(refused({ verb: "watch", reference, status: 0, body: event.object }))
  }
  const { kind } = event.object
  return kind === reference.kind
    ? Result.succeed(event)
    : Result.fail(new NotKubernetes({ detail: `the watch of ${reference.kind} sent a ${kind}` }))
}
