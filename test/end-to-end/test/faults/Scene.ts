/**
 * What every test of a fault does on the shared stage: it begins when all is calm, ends when all is calm again, and
 * judges everything that was done since the stage was built. When it fails it shows what happened in it.
 */
import { assert, type Vitest } from "@effect/vitest"
import type { FaultProxy } from "@effect-leader/testkit"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type User, users } from "../../src/ApiServer.ts"
import { inMillis } from "../../src/History.ts"
import type { Leader } from "../../src/Replicas.ts"
import { Stage } from "../../src/Stage.ts"
import { now, seconds, termOf } from "../processes/Competition.ts"

export interface Scene {
  readonly stage: Stage["Service"]
  /** Who leads when the test begins. */
  readonly leader: Leader
  readonly followers: ReadonlyArray<User>
}

export const scene = <R = never, E = never>(
  it: Vitest.MethodsNonLive<Stage | R>,
  sentence: string,
  play: (scene: Scene) => Effect.Effect<void, E, Stage | R>
): void => {
  it.effect(sentence, () =>
    Effect.gen(function* () {
      const stage = yield* Stage
      const begunAt = yield* now
      const leader = yield* stage.untilCalm
      const followers = users.filter((user) => user !== leader.replica.user)
      yield* play({ stage, leader, followers }).pipe(
        Effect.andThen(healAll),
        Effect.andThen(within(sentence, "all is calm again", recovery(stage), stage.untilCalm)),
        Effect.andThen(stage.replicas.violations),
        Effect.map((violations) => assert.deepStrictEqual(violations, [])),
        Effect.tapCause(() => Effect.flatMap(stage.replicas.report(begunAt), Effect.logError)),
        // So that the next test has a stage to begin on.
        Effect.ensuring(healAll)
      )
    })
  )
}

const healAll = Effect.flatMap(Stage, ({ proxy }) => Effect.forEach(users, (user) => proxy(user).healAll))

/**
 * In seconds: the longest time until somebody leads once nothing is wrong with somebody. A lease that was renewed just
 * before, the longest wait of a candidate that was asked to wait, two requests, and what a busy machine takes.
 */
export const recovery = ({ timings }: Stage["Service"]): number =>
  timings.leaseDuration + 16 * timings.retryPeriod + timings.renewDeadline + 5

/** Bounded: fails when it takes longer than so many seconds, and says how long it took. */
export const within = <A, E, R>(sentence: string, what: string, limit: number, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const from = yield* now
    const value = yield* Effect.timeoutOrElse(effect, {
      duration: limit * 1000,
      orElse: () => Effect.die(new Error(`${sentence}: not within ${limit} s: ${what}`))
    })
    yield* Console.log(`${sentence}: ${what} after ${inMillis((yield* now) - from).toFixed(0)} ms`)
    return value
  })

/** Sets the rules on a user's proxy. */
export const inject = (user: User, ...rules: ReadonlyArray<FaultProxy.Rule>) =>
  Effect.flatMap(Stage, ({ proxy }) => Effect.forEach(rules, (rule) => proxy(user).inject(rule)))

/** The leader's requests fail in a way that it survives: it leads on, without a new term. */
export const leaderKeeps = (...rules: ReadonlyArray<FaultProxy.Rule>) =>
  Effect.fnUntraced(function* ({ leader, stage }: Scene) {
    const injected = yield* inject(leader.replica.user, ...rules)
    yield* Effect.sleep((stage.timings.renewDeadline + 1) * 1000)
    const { token } = yield* stage.workerAfter(yield* now)
    assert.strictEqual(token, leader.token)
    for (const { hits } of injected) assert.isAbove(yield* hits, 0)
  })

/** The leader's requests fail for good: another leads in bounded time, while they still fail. */
export const anotherLeads = (sentence: string, ...rules: ReadonlyArray<FaultProxy.Rule>) =>
  Effect.fnUntraced(function* ({ leader, stage }: Scene) {
    yield* inject(leader.replica.user, ...rules)
    const next = yield* within(sentence, "another leads", recovery(stage), stage.replicas.nextLeader(leader))
    assert.notStrictEqual(next.replica.identity, leader.replica.identity)
    const { workedUntil } = yield* termOf(stage.replicas, leader)
    const { startedAt } = yield* termOf(stage.replicas, next)
    yield* Console.log(`${sentence}: without a leader for ${inMillis(startedAt - workedUntil).toFixed(0)} ms`)
  })

/** Something that takes every leader away: nobody works once the last validity has run out, until it ends. */
export const nobodyWorks = Effect.fnUntraced(function* ({ stage }: Scene, from: bigint, until: bigint) {
  const deadline = from + seconds(stage.timings.renewDeadline)
  const late = (yield* stage.replicas.entries).filter(
    ({ at, event }) => event === "Tick" && at > deadline && at < until
  )
  assert.deepStrictEqual(late, [])
})
