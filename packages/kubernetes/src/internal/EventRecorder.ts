/**
 * Writes the news of one election as Events, beside it: one fiber listens to the leadership and never waits, another one
 * writes what it heard. Between them is a queue of a few, of which the oldest are dropped.
 *
 * The layer of the Events closes before that of the election, which leads until then. So the fibers are not the layer's:
 * when it closes they stay for the rest of the term, and the client, which closes after the election, waits a moment for
 * the last Event.
 */
import type { LeaderElection } from "@effect-leader/core"
import type * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Identity } from "../Identity.ts"
import type { KubernetesClient } from "../KubernetesClient.ts"
import type { KubernetesError } from "../KubernetesError.ts"
import type { ObjectReference } from "../KubernetesObject.ts"
import * as EventObject from "./EventObject.ts"
import * as LeadershipNews from "./LeadershipNews.ts"
import { lockTypes, type LockKind } from "./LockTypes.ts"
import { referenceOf } from "./OwnPod.ts"
import * as PatientClient from "./PatientClient.ts"

export interface Options {
  readonly client: KubernetesClient["Service"]
  readonly election: {
    readonly name: string
    readonly identity: string
    readonly leadership: SubscriptionRef.SubscriptionRef<LeaderElection.Leadership>
  }
  readonly pod: Identity["Service"]
  readonly component: string
  readonly kinds: ReadonlyArray<LockKind>
}

interface Told {
  readonly news: LeadershipNews.News
  readonly at: DateTime.Utc
}

const mostWaiting = 16
const lastWords = Duration.seconds(1)

export const run = Effect.fnUntraced(function* (options: Options) {
  const { client, election } = options
  const waiting = yield* Queue.sliding<Told, Cause.Done>(mostWaiting)
  let former: LeaderElection.Leadership = standby
  let isClosing = false

  /** Whether there may be more to hear. */
  const hear = Effect.fnUntraced(function* (next: LeaderElection.Leadership) {
    const at = yield* DateTime.now
    yield* Queue.offerAll(
      waiting,
      LeadershipNews.between(former, next).map((news) => ({ news, at }))
    )
    former = next
    return next._tag !== "Stopped" && !(isClosing && isIdle(next))
  })
  const listen = SubscriptionRef.changes(election.leadership).pipe(
    Stream.runForEachWhile(hear),
    Effect.ensuring(Queue.end(waiting))
  )
  const write = Stream.runForEach(Stream.fromQueue(waiting), writer(options))

  const start = Effect.gen(function* () {
    const listening = yield* forkAtOnce(listen)
    const writing = yield* forkAtOnce(write)
    // The client of another than the lock closes earlier, when nothing is over yet: it waits for nothing.
    const finish = Effect.flatMap(SubscriptionRef.get(election.leadership), ({ _tag }) =>
      _tag === "Stopped" ? Effect.timeoutOption(Fiber.await(writing), lastWords) : Effect.void
    )
    const whileWriting = yield* Scope.fork(client.scope)
    yield* Scope.addFinalizer(whileWriting, Effect.andThen(finish, Fiber.interruptAll([listening, writing])))
    yield* forkAtOnce(Effect.andThen(Fiber.await(writing), Scope.close(whileWriting, Exit.void)))
    yield* Effect.addFinalizer(() => {
      isClosing = true
      return isIdle(former) ? Fiber.interrupt(listening) : Effect.void
    })
  })
  yield* Effect.uninterruptible(start)
})

const forkAtOnce = <A>(effect: Effect.Effect<A>) =>
  Effect.forkDetach(Effect.interruptible(effect), { startImmediately: true })

const standby: LeaderElection.Leadership = { _tag: "Standby", leader: Option.none(), trouble: Option.none() }

const isIdle = ({ _tag }: LeaderElection.Leadership): boolean => _tag === "Standby" || _tag === "Stopped"

/** Writes one thing that happened, to each object that it happened to. Never fails, and says once that it cannot. */
const writer = (options: Options) => {
  const { component, election, pod } = options
  const client = PatientClient.make(options.client)
  const locks = lockObjects(options)
  let uids: { readonly token: bigint; readonly of: ReadonlyMap<ObjectReference, string> } | undefined
  let isInTrouble = false

  /** Asked for once a term, since a lock that is deleted is made again with another one. */
  const lockUids = Effect.fnUntraced(function* (token: bigint) {
    if (uids?.token === token) return uids.of
    const found = yield* Effect.forEach(
      locks,
      (lock) =>
        client.get(lock).pipe(
          Effect.map(({ metadata: { uid } }) => (uid === undefined ? [] : [[lock, uid] as const])),
          Effect.orElseSucceed(() => [])
        ),
      { concurrency: "unbounded" }
    )
    const of = new Map(found.flat())
    if (of.size === locks.length) uids = { token, of }
    return of
  })

  const record = Effect.fnUntraced(function* (occurrence: Omit<EventObject.Occurrence, "salt">) {
    const event = EventObject.make({ ...occurrence, salt: yield* Random.nextIntBetween(0, 1_000_000) })
    const collection = { ...EventObject.eventType, namespace: occurrence.to.namespace ?? "default" }
    yield* client.create(collection, event).pipe(
      // A former try that had no answer was carried out.
      Effect.catchIf(isThere, () => Effect.void),
      Effect.tapError((error) => Effect.logDebug(`an Event was not written: ${error.message}`)),
      Effect.retry({ while: isPassing, schedule: Schedule.spaced(pauseBetweenTries), times: mostTries - 1 }),
      Effect.matchEffect({
        onSuccess: () =>
          Effect.sync(() => {
            isInTrouble = false
          }),
        onFailure: (error) =>
          Effect.suspend(() => {
            if (isInTrouble) return Effect.void
            isInTrouble = true
            return Effect.logWarning(
              `the Events of this election are not written, and no other such failure is logged (the election goes on): ${error.message}`
            )
          })
      })
    )
  })

  return Effect.fnUntraced(function* ({ at, news }: Told) {
    const words = LeadershipNews.say(election.identity, news)
    const of = yield* lockUids(news.token)
    const objects = [
      ...locks.map((lock) => withUid(lock, of.get(lock))),
      ...(pod.isPod ? [withUid(referenceOf(pod), pod.uid)] : [])
    ]
    yield* Effect.forEach(objects, (to) => record({ words, at, to, component, instance: pod.name }), {
      concurrency: "unbounded",
      discard: true
    })
  })
}

// As client-go's recorder.
const mostTries = 12
const pauseBetweenTries = Duration.seconds(10)

/** What may be otherwise in a while: no answer, and a server that is busy. */
const isPassing = ({ reason }: KubernetesError): boolean =>
  reason._tag !== "Refused" || reason.status === 429 || reason.status >= 500

const isThere = ({ reason }: KubernetesError): boolean => reason._tag === "Refused" && reason.status === 409

const withUid = (reference: ObjectReference, uid: string | undefined) =>
  uid === undefined ? reference : { ...reference, uid }

/** A lock in memory is no object of the cluster. */
const lockObjects = ({ election, kinds }: Options): ReadonlyArray<ObjectReference> => {
  const [namespace = "", name = "", ...more] = election.name.split("/")
  return name === "" || more.length > 0 ? [] : kinds.map((kind) => ({ ...lockTypes[kind], namespace, name }))
}
