import { LeaderElection, LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { LeaderMetrics } from "../src/index.ts"
import * as Asking from "./Asking.ts"

describe("LeaderMetrics", () => {
  it.effect("tells Prometheus about the election", () =>
    Effect.gen(function* () {
      const election = LeaderElection.layer({ identity: "a" }).pipe(
        Layer.provide(LeaseLock.layerMemory({ name: "reports" }))
      )
      yield* Layer.build(election)
      const ask = yield* Asking.of(LeaderMetrics.layer())
      yield* TestClock.adjust("10 seconds")
      const { headers, status, text } = yield* ask("/metrics")
      assert.strictEqual(status, 200)
      assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
      assert.match(text, /^# TYPE leader_election_master_status gauge$/m)
      assert.match(text, /^leader_election_master_status\{name="reports"\} 1$/m)
      assert.match(text, /^leader_election_terms_total\{name="reports"\} 1$/m)
      assert.match(text, /^leader_election_renewal_seconds_bucket\{.*name="reports".*\} \d+$/m)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("elsewhere, and with a prefix", () =>
    Effect.gen(function* () {
      const ask = yield* Asking.of(LeaderMetrics.layer({ path: "/internal/metrics", prefix: "app" }))
      yield* Metric.update(Metric.gauge("jobs"), 3)
      assert.match((yield* ask("/internal/metrics")).text, /^app_jobs 3$/m)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
