import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Metric, Option, References, Tracer } from "effect"
import { LeaseLock } from "../src/index.ts"
import { makeClock, pass, start } from "./Candidate.ts"
import { held } from "./Records.ts"
import { ScriptedLock } from "./ScriptedLock.ts"

interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

const collected = Effect.sync(() => {
  const lines: Array<Line> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    lines.push({
      level: logLevel,
      message: String(message),
      annotations: fiber.getRef(References.CurrentLogAnnotations)
    })
  })
  return { lines, layer: Logger.layer([logger]) }
})

const metric = (name: string) =>
  Effect.map(Metric.snapshot, (all) =>
    all.find((it) => it.id === name && it.attributes !== undefined && "name" in it.attributes)
  )

const fresh = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(test, Metric.MetricRegistry, new Map()))

describe("logs", () => {
  it.effect("a term is told from its beginning to its end, with election, identity and token", () =>
    Effect.gen(function* () {
      const log = yield* collected
      const a = yield* start("a").pipe(Effect.provide(log.layer))
      yield* pass("1 second")
      yield* Effect.flatMap(a.close, Fiber.join)
      assert.deepStrictEqual(
        log.lines.map((line) => line.message),
        ["became leader of test/lock", "stops leading test/lock: Shutdown", "all work under test/lock has ended"]
      )
      for (const line of log.lines) {
        assert.deepStrictEqual({ ...line.annotations }, { election: "test/lock", identity: "a", token: "1" })
      }
    }).pipe(Effect.provide(ScriptedLock.layer))
  )

  it.effect("a permanent refusal is logged at once, then ever less often, and is visible in the status", () =>
    Effect.gen(function* () {
      const log = yield* collected
      const script = yield* ScriptedLock
      const reason = new LeaseLock.Denied({ detail: "may not get leases" })
      script.fault("read", { _tag: "Fail", reason }, 10_000)
      const a = yield* start("a").pipe(Effect.provide(log.layer))
      yield* pass("5 minutes")
      const refusals = log.lines.filter((line) => line.message.includes("may not get leases"))
      assert.isAtLeast(refusals.length, 5)
      assert.isAtMost(refusals.length, 20)
      const leadership = yield* a.leadership
      assert.include(
        leadership._tag === "Standby" ? Option.getOrThrow(leadership.trouble).message : leadership._tag,
        "not allowed: may not get leases"
      )
      script.heal()
      yield* pass("1 minute")
      assert.isTrue(yield* a.election.isLeader)
    }).pipe(Effect.provide(ScriptedLock.layer))
  )

  it.effect("an outage is not logged every time", () =>
    Effect.gen(function* () {
      const log = yield* collected
      const script = yield* ScriptedLock
      script.fault("read", { _tag: "Fail", reason: new LeaseLock.Unavailable({}) }, 10_000)
      yield* start("a").pipe(Effect.provide(log.layer))
      yield* pass("10 minutes")
      assert.isAtMost(log.lines.length, 12)
      script.heal()
      yield* pass("1 minute")
      assert.include(
        log.lines.map((line) => line.message),
        "test/lock answers again"
      )
    }).pipe(Effect.provide(ScriptedLock.layer))
  )

  it.effect("at a shutdown that work overruns, nobody says that all work has ended", () =>
    Effect.gen(function* () {
      const log = yield* collected
      const a = yield* start("a", { cleanup: "1 hour", drainTimeout: "5 seconds" }).pipe(Effect.provide(log.layer))
      yield* pass("1 second")
      yield* a.close
      yield* pass("1 minute")
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
      const messages = log.lines.map((line) => line.message)
      assert.isTrue(messages.some((message) => message.startsWith("work overran its term: 1 pieces still run")))
      assert.notInclude(messages, "all work under test/lock has ended")
    }).pipe(Effect.provide(ScriptedLock.layer))
  )
})

describe("metrics", () => {
  it.effect("carry client-go's names and label, and count terms, transitions and renewals", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      script.setLatency("100 millis")
      const a = yield* start("a")
      yield* pass("1 second")
      const status = yield* metric("leader_election_master_status")
      assert.deepInclude(status, { attributes: { name: "test/lock" } })
      assert.deepInclude(status?.state, { value: 1 })
      yield* pass("20 seconds")
      const renewals = yield* metric("leader_election_renewal_seconds")
      assert.deepInclude(renewals?.state, { count: 10, min: 0.1, max: 0.1 })
      script.watch("Silent")
      yield* script.touch
      yield* pass("3 seconds")
      assert.deepInclude((yield* metric("leader_election_slowpath_total"))?.state, { count: 1 })
      assert.deepInclude((yield* metric("leader_election_terms_total"))?.state, { count: 1 })
      assert.deepInclude((yield* metric("leader_election_transitions_total"))?.state, { count: 1 })
      const remaining = (yield* metric("leader_election_remaining_validity_seconds"))?.state
      assert.isTrue(remaining !== undefined && "value" in remaining && Number(remaining.value) > 7)
      const closing = yield* a.close
      yield* pass("1 second")
      yield* Fiber.join(closing)
      assert.deepInclude((yield* metric("leader_election_master_status"))?.state, { value: 0 })
      assert.deepInclude((yield* metric("leader_election_remaining_validity_seconds"))?.state, { value: 0 })
    }).pipe(Effect.provide(ScriptedLock.layer), fresh)
  )

  it.effect("are all there before anybody leads, and say that nobody does when the election has failed", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      const time = yield* makeClock
      script.setLatency("1 second")
      const a = yield* start("a", { clock: time.clock })
      for (const name of ["master_status", "remaining_validity_seconds"]) {
        assert.deepInclude((yield* metric(`leader_election_${name}`))?.state, { value: 0 })
      }
      for (const name of ["slowpath", "terms", "transitions", "overruns"]) {
        assert.deepInclude((yield* metric(`leader_election_${name}_total`))?.state, { count: 0 })
      }
      yield* pass("10 seconds")
      assert.strictEqual((yield* a.leadership)._tag, "Leading")
      assert.deepInclude((yield* metric("leader_election_master_status"))?.state, { value: 1 })
      time.breakFor(1)
      yield* pass("3 seconds")
      assert.strictEqual((yield* a.leadership)._tag, "Stopped")
      for (const name of ["master_status", "remaining_validity_seconds"]) {
        assert.deepInclude((yield* metric(`leader_election_${name}`))?.state, { value: 0 })
      }
    }).pipe(Effect.provide(ScriptedLock.layer), fresh)
  )

  it.effect("count overruns", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* start("a", { cleanup: "1 hour" })
      yield* pass("1 second")
      script.fault("write", { _tag: "Lost" }, 1000)
      yield* pass("1 minute")
      assert.deepInclude((yield* metric("leader_election_overruns_total"))?.state, { count: 1 })
    }).pipe(Effect.provide(ScriptedLock.layer), fresh)
  )
})

describe("spans", () => {
  it.effect("one root span for each renewal, none for anything else that goes on", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* start("a").pipe(Effect.withSpan("outer"), Effect.provide(Layer.succeed(Tracer.Tracer, tracer)))
      yield* pass("20 seconds")
      const renewals = spans.filter((span) => span.name === "LeaderElection.renew")
      assert.strictEqual(renewals.length, 9)
      for (const renewal of renewals) {
        assert.isTrue(Option.isNone(renewal.parent))
        assert.strictEqual(renewal.status._tag, "Ended")
        assert.strictEqual(renewal.attributes.get("identity"), "a")
      }
    }).pipe(Effect.provide(ScriptedLock.layer))
  )

  it.effect("what a candidate asks of the lock is no child of a span that has ended", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedLock
      yield* script.put(held({ lease: "1 day" }))
      const spans: Array<Tracer.Span> = []
      const orphans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          const { parent } = span
          if (Option.exists(parent, (it) => it._tag === "Span" && it.status._tag === "Ended")) orphans.push(span.name)
          return span
        }
      })
      yield* start("a", {
        lock: (lock) => ({ ...lock, read: Effect.withSpan(lock.read, "lock.read") })
      }).pipe(Effect.provide(Layer.succeed(Tracer.Tracer, tracer)))
      yield* pass("1 minute")
      assert.isAtLeast(spans.filter((span) => span.name === "lock.read").length, 5)
      assert.deepStrictEqual(orphans, [])
    }).pipe(Effect.provide(ScriptedLock.layer))
  )
})
