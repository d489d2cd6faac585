/**
 * The log of jobs in a ConfigMap: a key for each job, and the token of the term that it belongs to in an annotation.
 * `kubectl get configmap NAME -o yaml` shows where each job is.
 *
 * Every write is a PUT with the uid and the version of the read that looked at the token, so a leader that was stopped
 * between the two is refused by the API server. Only opening makes the ConfigMap: a leader whose log was deleted cannot
 * write into a new one that nobody has opened.
 *
 * An API server that does not answer is asked again until it does, or until the caller is interrupted: in a term that is
 * its end. Labels, and annotations that are not the log's own, are kept.
 */
import { KubernetesClient, type Rbac } from "@effect-leader/kubernetes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { checkOpen, checkWrite, Entry, JobLog, JobLogError, Unusable, type Kept } from "./JobLog.ts"

export interface Options {
  /** The ConfigMap's name. */
  readonly name: string
  /** The client's default namespace if not given. */
  readonly namespace?: string
}

export const layer = (options: Options): Layer.Layer<JobLog, never, KubernetesClient.KubernetesClient> =>
  Layer.effect(JobLog, make(options))

/** What it needs in a Role. A ConfigMap is made by POST, which a Role cannot narrow to a name. */
export const rules = (name: string): Rbac.Rules => [
  { apiGroups: [""], resources: ["configmaps"], resourceNames: [name], verbs: ["get", "update"] },
  { apiGroups: [""], resources: ["configmaps"], verbs: ["create"] }
]

const make = Effect.fnUntraced(function* (options: Options) {
  const client = yield* KubernetesClient.KubernetesClient
  const reference = configMap(options.namespace ?? client.namespace, options.name)
  const name = `in ConfigMap ${reference.namespace}/${reference.name}`
  // One at a time, so that jobs that start in the same second do not meet in conflicts.
  const turn = yield* Semaphore.make(1)

  const refuseIf = (reason: JobLogError["reason"] | undefined) =>
    reason === undefined ? Effect.void : Effect.fail(new JobLogError({ log: name, reason }))
  const unusable = (detail: string) => new JobLogError({ log: name, reason: new Unusable({ detail }) })

  const read = client.get(reference).pipe(
    inTime,
    Effect.map(Option.some),
    Effect.catchIf(isAbsent, () => Effect.succeedNone)
  )
  const kept = (object: KubernetesClient.KubernetesObject) =>
    Effect.mapError(Effect.fromResult(keptIn(object)), (detail) => unusable(detail))

  const untilAnswered = <A>(request: Effect.Effect<A, JobLogError | KubernetesClient.KubernetesError | NoAnswer>) =>
    request.pipe(
      Effect.tapError((error) =>
        isTransient(error)
          ? Effect.logWarning(`the log of jobs ${name}: asks again after ${error.message}`)
          : Effect.void
      ),
      Effect.retry({ while: isTransient, schedule: patience }),
      Effect.mapError((error) => (error._tag === "JobLogError" ? error : unusable(error.message))),
      turn.withPermit
    )

  return JobLog.of({
    open: Effect.fn("KubernetesJobLog.open")((token) =>
      untilAnswered(
        Effect.gen(function* () {
          const found = yield* read
          if (Option.isNone(found)) {
            yield* inTime(client.create(reference, withToken(empty(reference), token)))
            return new Map<string, Entry>()
          }
          const before = yield* kept(found.value)
          yield* refuseIf(checkOpen(before, token))
          yield* inTime(client.update(reference, withToken(found.value, token)))
          return before.entries
        })
      )
    ),
    write: Effect.fn("KubernetesJobLog.write")((job, entry) =>
      untilAnswered(
        Effect.gen(function* () {
          const found = Option.getOrUndefined(yield* read)
          yield* refuseIf(checkWrite(found === undefined ? undefined : yield* kept(found), entry.token))
          if (found !== undefined) yield* inTime(client.update(reference, withEntry(found, job, entry)))
        })
      )
    )
  })
})

const configMap = (namespace: string, name: string) => ({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespace,
  name
})

// ------------------------------------------------------------------------------------------ the ConfigMap as a log

/** The token of the term that the log belongs to: a decimal number. */
export const tokenAnnotation = "effect-leader.dev/token"

const Log = Schema.Struct({
  metadata: Schema.Struct({
    annotations: Schema.optionalKey(
      Schema.NullOr(Schema.Struct({ [tokenAnnotation]: Schema.optionalKey(Schema.BigIntFromString) }))
    )
  }),
  data: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.fromJsonString(Entry))))
})
const decodeLog = Schema.decodeUnknownResult(Log)
const encodeEntry = Schema.encodeSync(Schema.fromJsonString(Entry))

const keptIn = (object: KubernetesClient.KubernetesObject): Result.Result<Kept, string> =>
  decodeLog(object, { errors: "all" }).pipe(
    Result.map(({ data, metadata }) => ({
      token: metadata.annotations?.[tokenAnnotation] ?? 0n,
      entries: new Map(Object.entries(data ?? {}))
    })),
    Result.mapError((error) => `it cannot be read; correct or remove what was written by hand: ${error.message}`)
  )

const empty = ({ name, namespace }: KubernetesClient.ObjectReference): KubernetesClient.KubernetesObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) }
})

const withToken = (object: KubernetesClient.KubernetesObject, token: bigint): KubernetesClient.KubernetesObject => ({
  ...object,
  metadata: {
    ...object.metadata,
    annotations: { ...object.metadata.annotations, [tokenAnnotation]: String(token) }
  }
})

const withEntry = (
  object: KubernetesClient.KubernetesObject,
  job: string,
  entry: Entry
): KubernetesClient.KubernetesObject => ({
  ...object,
  data: { ...(isData(object["data"]) ? object["data"] : {}), [job]: encodeEntry(entry) }
})
const isData = Schema.is(Schema.Record(Schema.String, Schema.String))

// --------------------------------------------------------------------------------------------- what may be asked again

class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {}) {
  override get message(): string {
    return `no answer within ${Duration.format(patienceWithOne)}`
  }
}

const patienceWithOne = Duration.seconds(5)
const patience = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")])

function inTime<A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E | NoAnswer> {
  return Effect.timeoutOrElse(request, { duration: patienceWithOne, orElse: () => Effect.fail(new NoAnswer()) })
}

/** The API server says so itself, of this object: any other 404, as a proxy's, says nothing of the log. */
const isAbsent = (error: KubernetesClient.KubernetesError | NoAnswer): boolean =>
  error._tag === "KubernetesError" &&
  error.reason._tag === "Refused" &&
  error.reason.status === 404 &&
  error.reason.reason === "NotFound" &&
  error.reason.about === "configmaps"

/** Another write came first, or no usable answer came: trying again helps, without anybody changing anything. */
const isTransient = (error: JobLogError | KubernetesClient.KubernetesError | NoAnswer): boolean => {
  if (error._tag !== "KubernetesError") return error._tag === "NoAnswer"
  const { reason } = error
  if (reason._tag !== "Refused") return true
  const { reason: word, status } = reason
  return word === "" || status === 408 || status === 409 || status === 429 || status >= 500 || isAbsent(error)
}
