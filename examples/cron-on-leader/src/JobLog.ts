/**
 * What has become of each job's occurrences, kept where every candidate finds it: without it a new leader could not
 * know what its predecessor ran. It holds one entry for each job, the latest, and belongs to one term at a time: a
 * leader opens it with its fencing token, and from then on whoever comes with an older one is refused.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

/**
 * - `Registered`: the job is known from then on, and nothing has run yet.
 * - `Started`: a run of the occurrence began. If its leader is gone, it did not finish, as far as anybody knows.
 * - `Succeeded`, `Failed`: it has ended so.
 * - `Interrupted`: it was started by a leader that went, and will not run again.
 * - `Skipped`: it was missed, and will not run.
 */
export const State = Schema.Literals(["Registered", "Started", "Succeeded", "Failed", "Interrupted", "Skipped"])
export type State = typeof State.Type

/** Where one job is. All its occurrences before this one are settled: they ran, or will not run. */
export const Entry = Schema.Struct({
  state: State,
  occurrence: Schema.DateTimeUtcFromString,
  /** Of the term that wrote this. */
  token: Schema.BigIntFromString,
  writtenAt: Schema.DateTimeUtcFromString
})
export interface Entry extends Schema.Schema.Type<typeof Entry> {}

/** A newer leader has opened the log. */
export class Stale extends Schema.TaggedError<Stale>()("Stale", { token: Schema.BigInt, newest: Schema.BigInt }) {}

/** Somebody deleted or replaced the log since this term opened it. */
export class Lost extends Schema.TaggedError<Lost>()("Lost", {}) {}

/** Whatever keeps it does not allow this, or what is kept there cannot be read: nobody can go on before a person acts. */
export class Unusable extends Schema.TaggedError<Unusable>()("Unusable", { detail: Schema.String }) {}

export class JobLogError extends Schema.TaggedError<JobLogError>()("JobLogError", {
  log: Schema.String,
  reason: Schema.Union([Stale, Lost, Unusable])
}) {
  override get message(): string {
    return `the log of jobs ${this.log}: ${sayReason(this.reason)}`
  }
}

const sayReason = (reason: JobLogError["reason"]): string => {
  switch (reason._tag) {
    case "Stale":
      return (
        `token ${reason.token} is refused, since a leader with token ${reason.newest} has opened it; if that one was ` +
        `of another cluster, from which the log was copied, delete the log's token`
      )
    case "Lost":
      return "it was deleted or replaced while this leader used it; the next term opens it anew"
    case "Unusable":
      return reason.detail
  }
}

export class JobLog extends Context.Service<
  JobLog,
  {
    /** Makes it the log of the term with this token, and tells the entry of each job. */
    readonly open: (token: bigint) => Effect.Effect<ReadonlyMap<string, Entry>, JobLogError>
    /** Replaces a job's entry, if the log still belongs to the term of the entry's token. */
    readonly write: (job: string, entry: Entry) => Effect.Effect<void, JobLogError>
  }
>()("examples/cron-on-leader/JobLog") {}

/** What is kept: the token of the term that it belongs to, and the entries. */
export interface Kept {
  readonly token: bigint
  readonly entries: ReadonlyMap<string, Entry>
}

/** Whether the log, as it is kept, can be opened with a token. */
export const checkOpen = (kept: Kept, token: bigint): JobLogError["reason"] | undefined =>
  kept.token > token ? new Stale({ token, newest: kept.token }) : undefined

/** Whether the log, as it is kept (if it is), belongs to the term with a token. */
export const checkWrite = (kept: Kept | undefined, token: bigint): JobLogError["reason"] | undefined => {
  if (kept === undefined || kept.token < token) return new Lost()
  return kept.token > token ? new Stale({ token, newest: kept.token }) : undefined
}

/** A log in memory: for tests, and for a program of one process that may forget. */
export const layerMemory: Layer.Layer<JobLog> = Layer.sync(JobLog, () => {
  let kept: Kept = { token: 0n, entries: new Map() }
  const unless = (reason: JobLogError["reason"] | undefined) =>
    reason === undefined ? Effect.void : Effect.fail(new JobLogError({ log: "in memory", reason }))
  return JobLog.of({
    open: (token) =>
      Effect.suspend(() => {
        const refusal = checkOpen(kept, token)
        if (refusal === undefined) kept = { ...kept, token }
        return Effect.as(unless(refusal), kept.entries)
      }),
    write: (job, entry) =>
      Effect.suspend(() => {
        const refusal = checkWrite(kept, entry.token)
        if (refusal === undefined) kept = { ...kept, entries: new Map(kept.entries).set(job, entry) }
        return unless(refusal)
      })
  })
})
