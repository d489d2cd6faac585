/**
 * The public words hold what the design promises: checked by the compiler, here against copies of its signatures.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Cause, Config, Context, DateTime, Duration, Layer, Option, Schema, Stream, SubscriptionRef } from "effect"
import { Effect } from "effect"
import { LeaderElection, LeaseLock, Term } from "../src/index.ts"

class Reports extends LeaderElection.Service<Reports>()("app/Reports") {}
class Mailer extends LeaderElection.Service<Mailer>()("app/Mailer") {}
declare const writeReport: (token: bigint) => Effect.Effect<void, "db">

const job = Effect.gen(function* () {
  const term = yield* Reports.Term
  yield* Effect.log(`leading with token ${term.token}`)
  yield* term.guard(writeReport(term.token))
})

export const right: Effect.Effect<never, "db" | Term.NotLeading, Reports> = Reports.whileLeading(job)
// @ts-expect-error work of one election does not run under another
export const wrong: Effect.Effect<never, "db" | Term.NotLeading, Mailer> = Mailer.whileLeading(job)
export const outside = () =>
  // @ts-expect-error leader work does not run outside leadership
  Effect.runPromise(job)
export const once: Effect.Effect<void, "db" | Term.NotLeading, Reports> = Reports.runAsLeader(job)
// @ts-expect-error nor does it once, under another election
export const wrongOnce: Effect.Effect<void, "db" | Term.NotLeading, Mailer> = Mailer.runAsLeader(job)

/** What a lock of somebody else's looks like: written against the words of the design alone. */
export const theirLock = (record: LeaseLock.LeaseRecord): typeof LeaseLock.LeaseLock.Service => {
  const observation: LeaseLock.Observation = { record: null as never, version: "1", fence: 1n }
  return {
    name: "theirs",
    read: Effect.succeed(observation),
    write: (_expected, next) =>
      next === record
        ? Effect.succeed(observation)
        : Effect.fail(new LeaseLock.LockError({ lock: "theirs", reason: new LeaseLock.Conflict({}) })),
    changes: null as never
  }
}

interface LeaseRecordOfTheDesign {
  readonly holder: Option.Option<string>
  readonly leaseDuration: Duration.Duration
  readonly acquiredAt: DateTime.Utc
  readonly renewedAt: DateTime.Utc
  readonly transitions: number
}
interface TermOfTheDesign {
  readonly token: bigint
  readonly since: DateTime.Utc
  readonly isValid: () => boolean
  readonly remaining: Effect.Effect<Duration.Duration>
  readonly guard: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Term.NotLeading, R>
}
type LeadershipOfTheDesign =
  | { readonly _tag: "Standby"; readonly leader: Option.Option<LeaderElection.Leader> }
  | { readonly _tag: "Leading"; readonly term: TermOfTheDesign }
  | { readonly _tag: "Draining"; readonly term: TermOfTheDesign; readonly end: LeaderElection.TermEnd }
  | { readonly _tag: "Stopped" }
interface ServiceOfTheDesign<Self, Id extends string> extends Context.ServiceClass<
  Self,
  Id,
  LeaderElection.Election<Self>
> {
  readonly Term: Context.Service<Term.Term<Self>, Term.TermShape>
  readonly layer: (
    options?: LeaderElection.Options
  ) => Layer.Layer<Self, LeaderElection.InvalidTimings, LeaseLock.LeaseLock>
  readonly layerConfig: (
    options?: Config.Wrap<LeaderElection.Options>
  ) => Layer.Layer<Self, LeaderElection.InvalidTimings | Config.ConfigError, LeaseLock.LeaseLock>
  readonly layerWhileLeading: <A, E, R>(
    work: Layer.Layer<A, E, R>,
    options?: { readonly onFailure?: (cause: Cause.Cause<E>) => Effect.Effect<void> }
  ) => Layer.Layer<never, never, Self | Exclude<R, Term.Term<Self>>>
}

const assignable = <To>(_value: To): void => {}

describe("the public words", () => {
  it("are the design's", () => {
    const theirRecord = null as unknown as LeaseRecordOfTheDesign
    assignable<LeaseLock.LeaseRecord>(theirRecord)
    assignable<TermOfTheDesign>(null as unknown as Term.TermShape)
    assignable<LeadershipOfTheDesign>(null as unknown as LeaderElection.Leadership)
    assignable<ServiceOfTheDesign<Reports, "app/Reports">>(Reports)
    assignable<SubscriptionRef.SubscriptionRef<LeaderElection.Leadership>>(
      null as unknown as LeaderElection.Election<Reports>["leadership"]
    )
    assignable<(after: LeaseLock.Observation) => Stream.Stream<LeaseLock.Observation, LeaseLock.LockError>>(
      null as unknown as (typeof LeaseLock.LeaseLock.Service)["changes"]
    )
    assignable<Schema.Top>(LeaseLock.LockError)
    assert.deepStrictEqual(
      [LeaderElection.LeaderElection.key, Reports.key, Mailer.key],
      ["@effect-leader/core/LeaderElection", "app/Reports", "app/Mailer"]
    )
    assert.notStrictEqual(Reports.Term.key, Mailer.Term.key)
    assert.strictEqual<unknown>(LeaderElection.Term, LeaderElection.LeaderElection.Term)
    assert.strictEqual<unknown>(LeaderElection.layer, LeaderElection.LeaderElection.layer)
    assert.strictEqual<unknown>(LeaderElection.layerConfig, LeaderElection.LeaderElection.layerConfig)
    assert.strictEqual<unknown>(LeaderElection.layerWhileLeading, LeaderElection.LeaderElection.layerWhileLeading)
    assert.strictEqual<unknown>(LeaderElection.runAsLeader, LeaderElection.LeaderElection.runAsLeader)
    assert.strictEqual<unknown>(LeaderElection.whileLeading, LeaderElection.LeaderElection.whileLeading)
  })

  it("name errors so that their reason can be caught", () => {
    const error = new LeaseLock.LockError({ lock: "prod/reports", reason: new LeaseLock.Conflict() })
    assert.strictEqual(error.message, "lock prod/reports: another write came first")
    assert.strictEqual(error._tag, "LockError")
    assert.strictEqual(new Term.NotLeading({ reason: "x" })._tag, "NotLeading")
  })
})
