/**
 * Every version that a Lease has had since a test began to look, in order, as a watch of the administrator tells them:
 * what one candidate wrote and the next one found.
 */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import { monotonicAt, namespace } from "@effect-leader/test-end-to-end/src/ApiServer.ts"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** A MicroTime as the API server stores it. */
const MicroTime = Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/))
const Texts = Schema.optionalKey(Schema.Record(Schema.String, Schema.String))

/** A Lease of which nothing is missing, whoever wrote it. */
const Lease = Schema.Struct({
  metadata: Schema.Struct({ uid: Schema.String, resourceVersion: Schema.String, labels: Texts, annotations: Texts }),
  spec: Schema.Struct({
    /** Empty after a release. */
    holderIdentity: Schema.String,
    leaseDurationSeconds: Schema.Int,
    acquireTime: MicroTime,
    renewTime: MicroTime,
    leaseTransitions: Schema.Int
  })
})
export type Lease = typeof Lease.Type

const Notice = Schema.fromJsonString(Schema.Struct({ type: Schema.Literals(["ADDED", "MODIFIED"]), object: Lease }))

/** All versions so far. Throws if the watch has ended, or told of something that is no such Lease. */
export type Versions = () => ReadonlyArray<Lease>

/** Begins to watch, for the rest of the scope. */
export const follow = Effect.fnUntraced(function* (name: string) {
  const plane = yield* ControlPlane
  const versions: Array<Lease> = []
  const watch = yield* plane.client("admin").get(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`, {
    urlParams: { watch: "true", fieldSelector: `metadata.name=${name}` }
  })
  const fiber = yield* watch.stream.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.mapEffect((line) => Schema.decodeUnknownEffect(Notice)(line)),
    Stream.runForEach(({ object }) => Effect.sync(() => versions.push(object))),
    Effect.forkScoped
  )
  const read: Versions = () => {
    const ended = fiber.pollUnsafe()
    if (ended !== undefined) throw new Error(`the watch of ${name} has ended: ${String(ended)}`)
    return versions
  }
  return read
}, Effect.orDie)

/** Where a time in a Lease lies on the monotonic clock of this machine. */
export const instantOf = (time: string): bigint => monotonicAt(DateTime.toEpochMillis(DateTime.makeUnsafe(time)))
