import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Duration, Effect, Exit, Layer } from "effect"
import { LeaderElection, LeaseLock } from "../src/index.ts"

const wholeSeconds = Layer.effect(
  LeaseLock.LeaseLock,
  Effect.map(LeaseLock.LeaseLock, (lock) => ({ ...lock, name: "prod/reports", durationUnit: Duration.seconds(1) }))
).pipe(Layer.provide(LeaseLock.layerMemory()))

const violations = (options: LeaderElection.Options) =>
  Layer.build(LeaderElection.layer(options)).pipe(
    Effect.provide(wholeSeconds),
    Effect.scoped,
    Effect.flip,
    Effect.map((error) => error.violations)
  )

const built = (environment: Record<string, string>) =>
  Layer.build(LeaderElection.layerConfig()).pipe(
    Effect.provide(LeaseLock.layerMemory()),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
  )

describe("settings", () => {
  it.effect("the defaults are client-go's", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(LeaderElection.layer()).pipe(Effect.provide(wholeSeconds))
      const election = Context.get(context, LeaderElection.LeaderElection)
      assert.match(election.identity, /^.+_[0-9a-f]{8}$/)
    })
  )

  it.effect("an invalid set fails with every violation and the numbers", () =>
    Effect.gen(function* () {
      const found = yield* violations({
        identity: " ",
        leaseDuration: "10.5 seconds",
        renewDeadline: "11 seconds",
        retryPeriod: "10 seconds",
        requestTimeout: "12 seconds",
        clockDrift: 0.01
      })
      assert.deepStrictEqual(found, [
        `identity (" ") must not be empty: the lock would look released`,
        "renewDeadline (11 s) must be shorter than 10.292079208 s, which is leaseDuration (10.5 s) x (1 - clockDrift) / (1 + clockDrift) with clockDrift 0.01",
        "retryPeriod (10 s) x 1.2 must be shorter than renewDeadline (11 s)",
        "requestTimeout (12 s) must be shorter than renewDeadline (11 s)",
        "leaseDuration (10.5 s) must be a multiple of 1 s: lock prod/reports stores nothing finer"
      ])
    })
  )

  it.effect("each rule is checked alone", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [LeaderElection.Options, RegExp]> = [
        [{ identity: "" }, /identity \(""\) must not be empty/],
        [{ identity: "x".repeat(254) }, /254 characters\) must have at most 253/],
        [{ address: "10.1.2.3" }, /address \("10.1.2.3"\) must be host:port, as 10.1.2.3:8080/],
        [{ address: "10.1.2.3:0" }, /must be host:port/],
        [{ address: "10.1.2.3:65536" }, /must be host:port/],
        [{ address: "http://10.1.2.3:80" }, /must be host:port/],
        [{ address: "2001:db8::1:80" }, /must be host:port/],
        [{ address: "two words:80" }, /must be host:port/],
        [{ leaseDuration: 0 }, /leaseDuration \(0 s\) must be longer than 0 s/],
        [{ leaseDuration: Duration.infinity }, /leaseDuration \(.*\) must be a finite duration/],
        [{ leaseDuration: "1500 millis", renewDeadline: "1 second", retryPeriod: "100 millis" }, /multiple of 1 s/],
        [{ renewDeadline: 0 }, /renewDeadline \(0 s\) must be longer than 0 s/],
        [{ renewDeadline: "14703 millis" }, /renewDeadline \(14.703 s\) must be shorter than 14.702970297 s/],
        [{ retryPeriod: 0 }, /retryPeriod \(0 s\) must be longer than 0 s/],
        [{ retryPeriod: "8334 millis" }, /retryPeriod \(8.334 s\) x 1.2/],
        [{ requestTimeout: "10 seconds" }, /requestTimeout \(10 s\) must be shorter than renewDeadline \(10 s\)/],
        [{ requestTimeout: 0 }, /requestTimeout \(0 s\)/],
        [{ drainTimeout: -1 }, /drainTimeout \(-0.001 s\) must not be negative|drainTimeout/],
        [{ clockDrift: -0.1 }, /clockDrift \(-0.1\) must be at least 0 and below 1/],
        [{ clockDrift: 1 }, /clockDrift \(1\)/],
        [{ clockDrift: Number.NaN }, /clockDrift \(NaN\)/],
        [{ clockDrift: 0.3 }, /renewDeadline \(10 s\) must be shorter than 8.07/]
      ]
      for (const [options, expected] of cases) {
        const found = yield* violations(options)
        assert.isTrue(
          found.some((violation) => expected.test(violation)),
          `${JSON.stringify(options, (_, value) => String(value))}: ${found.join("; ")}`
        )
      }
    })
  )

  it.effect("15, 15s and 15 seconds all mean the same, and RENEWAL_DEADLINE is RENEW_DEADLINE", () =>
    Effect.gen(function* () {
      for (const text of ["15", "15s", "15 seconds", "0m15s", "15000ms", "15.0"]) {
        const exit = yield* Effect.exit(
          Effect.scoped(built({ LEASE_DURATION: text, RENEWAL_DEADLINE: "14.7s", RETRY_PERIOD: "2" }))
        )
        assert.isTrue(Exit.isSuccess(exit), text)
        // S is just above 14.7 s for a lease of exactly 15 s.
        const tooLong = yield* Effect.flip(
          Effect.scoped(built({ LEASE_DURATION: text, RENEW_DEADLINE: "14.71", RETRY_PERIOD: "2" }))
        )
        assert.include(String(tooLong.message), "renewDeadline (14.71 s) must be shorter than 14.702970297 s")
      }
    })
  )

  it.effect("a text that is no duration names the variable and the value", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(built({ LEASE_DURATION: "soon" })))
      assert.include(String(error.message), "LEASE_DURATION")
      assert.include(String(error.message), "soon")
    })
  )

  it.effect("the identity is IDENTITY, else POD_NAME", () =>
    Effect.gen(function* () {
      const identity = (environment: Record<string, string>) =>
        Effect.map(
          Effect.scoped(built(environment)),
          (context) => Context.get(context, LeaderElection.LeaderElection).identity
        )
      assert.strictEqual(yield* identity({ IDENTITY: "me", POD_NAME: "pod-0" }), "me")
      assert.strictEqual(yield* identity({ POD_NAME: "pod-0" }), "pod-0")
      assert.match(yield* identity({ HOSTNAME: "host" }), /^host_[0-9a-f]{8}$/)
    })
  )

  it.effect("options may come from a program's own Config", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        LeaderElection.layerConfig({ identity: Config.String("ME"), leaseDuration: Config.Duration("LEASE") })
      ).pipe(
        Effect.provide(LeaseLock.layerMemory()),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ME: "own", LEASE: "30 seconds" })))
      )
      assert.strictEqual(Context.get(context, LeaderElection.LeaderElection).identity, "own")
    })
  )
})
