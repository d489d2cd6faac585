/**
 * The Lease as anybody sees it who asks the API server: tells the stage of every change.
 */
import { KubernetesClient } from "@effect-leader/kubernetes"
import { DateTime, Effect, Option, Result, Schedule, Schema, Stream } from "effect"
import type { Lease } from "./Scene.ts"
import { Stage } from "./Stage.ts"

const Spec = Schema.Struct({
  holderIdentity: Schema.NullOr(Schema.String).pipe(Schema.optionalKey),
  leaseDurationSeconds: Schema.NullOr(Schema.Finite).pipe(Schema.optionalKey),
  renewTime: Schema.NullOr(Schema.DateTimeUtcFromString).pipe(Schema.optionalKey)
})
const decode = Schema.decodeUnknownResult(Schema.Struct({ spec: Spec }))

const reference = Effect.map(KubernetesClient.KubernetesClient, ({ namespace }) => ({
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  namespace,
  name: "hello-leader"
}))

export class Silent extends Schema.TaggedError<Silent>()("Silent", { server: Schema.String }) {
  override get message(): string {
    return `${this.server} did not answer for 5 s`
  }
}

/** Fails, in a sentence, when the server cannot be reached or refuses: before anything is started that needs it. */
export const check = Effect.gen(function* () {
  const client = yield* KubernetesClient.KubernetesClient
  yield* client.get(yield* reference).pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail(new Silent({ server: client.server })) }),
    Effect.catchIf(
      (error) => error._tag === "KubernetesError" && error.reason._tag === "Refused" && error.reason.status === 404,
      () => Effect.void
    )
  )
})

/** Follows the Lease for ever, through every end of a watch. */
export const follow = Effect.gen(function* () {
  const client = yield* KubernetesClient.KubernetesClient
  const { tell } = yield* Stage
  const lease = yield* reference
  yield* client.watch(lease).pipe(
    Stream.filter(({ type }) => type !== "BOOKMARK"),
    Stream.runForEach(({ object, type }) =>
      Option.match(type === "DELETED" ? Option.some(absent) : read(object), {
        onNone: () => Effect.void,
        onSome: (seen) => tell({ _tag: "LeaseSeen", lease: seen })
      })
    ),
    Effect.catch((error) => tell({ _tag: "Noted", text: `the demo cannot see the Lease: ${error.message}` })),
    Effect.repeat(Schedule.spaced("1 second"))
  )
})

const absent: Lease = { holder: undefined, renewedAt: 0, expiresAt: 0 }

const read = (object: unknown): Option.Option<Lease> =>
  Option.map(Result.getSuccess(decode(object)), ({ spec }) => {
    const renewedAt = spec.renewTime == null ? 0 : DateTime.toEpochMillis(spec.renewTime)
    // As the peers do it, a Lease that was given back names an empty holder or none.
    const holder = spec.holderIdentity == null || spec.holderIdentity === "" ? undefined : spec.holderIdentity
    return { holder, renewedAt, expiresAt: renewedAt + (spec.leaseDurationSeconds ?? 0) * 1000 }
  })
