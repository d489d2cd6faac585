/**
 * What happens to a lock's object after an observation, from a watch by its name.
 *
 * After an object that exists, the watch begins at its version. After an absent one it begins without a version, because
 * the Role that a lock needs does not allow to list, which alone would give a version to begin at. The server then begins
 * with the object as it is, if it exists, so what happened since the read is not missed. It may begin with an older state
 * and repeat what came after it: those observations have older fences, which the election leaves alone.
 *
 * A watch that the server ends in order goes on from its last version (of an event or a bookmark) without a read. All
 * else fails, and the election reads again. If the server has forgotten what came after a version (410), reading again
 * may give the same version, since a restarted server forgets all that is older than itself: the next watch after such an
 * observation begins without a version too. A deletion between that read and that watch is not told; it shows as silence,
 * in which an election polls.
 */
import { LeaseLock } from "@effect-leader/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { KubernetesClient, WatchEvent } from "../KubernetesClient.ts"
import type { ObjectReference } from "../KubernetesObject.ts"
import { isExpired, lockFailure } from "./LockFailure.ts"
import { readVersion } from "./LockObject.ts"
import { isAbsent, type ObjectObservations } from "./ObjectObservations.ts"

export interface Watched {
  readonly client: KubernetesClient["Service"]
  readonly reference: ObjectReference
  readonly observations: ObjectObservations
  readonly fail: (reason: LeaseLock.LockError["reason"]) => LeaseLock.LockError
}

// A proxy that ends every watch at once, be it after telling the same once more, would otherwise be asked again without a
// pause.
const shortestWatch = 1_000_000_000n

export const follow = (
  { client, fail, observations, reference }: Watched,
  after: LeaseLock.Observation
): Stream.Stream<LeaseLock.Observation, LeaseLock.LockError> =>
  Stream.suspend(() => {
    let version = isAbsent(after) || observations.isForgotten(after) ? undefined : after.version

    const watchOnce = Effect.gen(function* () {
      const openedAt = yield* Clock.monotonicTimeNanos
      let quiet = true
      const check = Effect.gen(function* () {
        const lasted = (yield* Clock.monotonicTimeNanos) - openedAt
        if (quiet && lasted < shortestWatch) {
          return yield* fail(new LeaseLock.Unavailable({ detail: "the server ended the watch as soon as it began" }))
        }
      })
      return client.watch(reference, version === undefined ? {} : { resourceVersion: version }).pipe(
        Stream.mapError((error) => {
          if (version !== undefined && isExpired(error)) observations.forget(version)
          return fail(lockFailure(error))
        }),
        Stream.filter((event) => isOf(reference, event)),
        Stream.mapEffect((event) => {
          const reached = readVersion(event.object) ?? version
          if (event.type !== "BOOKMARK" && reached !== version) quiet = false
          version = reached
          return Effect.mapError(Effect.fromResult(observe(observations, event)), fail)
        }),
        Stream.filter(Option.isSome),
        Stream.map(({ value }) => value),
        Stream.onEnd(check)
      )
    })

    return Stream.forever(Stream.unwrap(watchOnce))
  })

// A bookmark names no object.
const isOf = ({ name, namespace }: ObjectReference, { object, type }: WatchEvent): boolean =>
  type === "BOOKMARK" || (object.metadata.name === name && object.metadata.namespace === namespace)

const observe = (
  observations: ObjectObservations,
  event: WatchEvent
): Result.Result<Option.Option<LeaseLock.Observation>, LeaseLock.Malformed> => {
  if (event.type === "BOOKMARK") return Result.succeed(Option.none())
  if (event.type !== "DELETED") return Result.map(observations.present(event.object), Option.some)
  const version = readVersion(event.object)
  return version === undefined
    ? Result.fail(new LeaseLock.Malformed({ detail: "the deletion has no metadata.resourceVersion" }))
    : Result.succeed(Option.some(observations.absent(BigInt(version))))
}
