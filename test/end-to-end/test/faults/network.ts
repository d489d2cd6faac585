/**
 * Faults between one replica, or all, and the API server.
 */
import { assert, type Vitest } from "@effect/vitest"
import { FaultProxy } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import { users } from "../../src/ApiServer.ts"
import type { Stage } from "../../src/Stage.ts"
import { now } from "../processes/Competition.ts"
import { anotherLeads, inject, leaderKeeps, nobodyWorks, recovery, scene, within } from "./Scene.ts"

type It = Vitest.MethodsNonLive<Stage>

const requests = { watch: false }
const puts = { method: "PUT" }
const watches = { watch: true }
/** Longer than any request may take. */
const late = "3 seconds"

export const toleratedFaults = (it: It): void => {
  const keeps = (what: string, ...rules: ReadonlyArray<FaultProxy.Rule>) =>
    scene(it, `the leader leads on: ${what}`, leaderKeeps(...rules))

  keeps("requests that are 300 ms late", { on: requests, fault: FaultProxy.delayRequest("300 millis") })
  keeps("answers that are 300 ms late", { on: requests, fault: FaultProxy.delayAnswer("300 millis") })
  keeps("one request that is swallowed", { on: { ...puts, times: 1 }, fault: FaultProxy.blackHole() })
  keeps("one write whose answer is lost", {
    on: { ...puts, times: 1 },
    fault: FaultProxy.blackHole({ carriedOut: true })
  })
  keeps("two connections that are reset", { on: { ...puts, times: 2 }, fault: FaultProxy.reset() })
  keeps(
    "a write that was carried out and answered with a reset, half an answer, and 500",
    {
      on: { ...puts, times: 1 },
      fault: FaultProxy.reset({ carriedOut: true })
    },
    {
      on: { ...puts, nth: 2 },
      fault: FaultProxy.reset({ afterBytes: 100 })
    },
    {
      on: { ...puts, nth: 2 },
      fault: FaultProxy.serverError({ carriedOut: true })
    }
  )
  keeps("answers that trickle for a third of a second", { on: requests, fault: FaultProxy.trickle(50, "20 millis") })
  keeps("429 with a Retry-After of a second, once", { on: { ...puts, times: 1 }, fault: FaultProxy.tooManyRequests(1) })
  keeps(
    "500 and a page, twice each",
    { on: { ...puts, times: 2 }, fault: FaultProxy.serverError() },
    {
      on: { ...puts, times: 2 },
      fault: FaultProxy.html
    }
  )
  keeps("its watch is silent", { on: watches, fault: FaultProxy.silentWatch })
  keeps("its watch is reset", { on: watches, fault: FaultProxy.reset() })
}

export const leadersFaults = (it: It): void => {
  const passesOn = (what: string, ...rules: ReadonlyArray<FaultProxy.Rule>) =>
    scene(it, `another takes over: ${what}`, anotherLeads(what, ...rules))

  passesOn("a black hole, with a watch that lives", { on: requests, fault: FaultProxy.blackHole() })
  passesOn("a partition", { fault: FaultProxy.partition })
  passesOn("requests that are held, and sent when it is over", { on: requests, fault: FaultProxy.hold })
  passesOn("connections that are reset at every request", { on: requests, fault: FaultProxy.reset() })
  passesOn("connections that are reset as soon as they are made", { fault: FaultProxy.resetConnections })
  passesOn("429 with a Retry-After of half a minute", { on: requests, fault: FaultProxy.tooManyRequests(30) })
  passesOn("500 for all requests", { on: requests, fault: FaultProxy.serverError() })
  passesOn("a page for all requests", { fault: FaultProxy.html })
  passesOn("an expired certificate", { fault: FaultProxy.expiredCertificate })
}

/** The server hears the leader, and the leader never hears that it does. */
export const oneWayFaults = (it: It): void => {
  const passesOn = (what: string, ...rules: ReadonlyArray<FaultProxy.Rule>) =>
    scene(it, `another takes over: writes that are carried out, and ${what}`, anotherLeads(what, ...rules))

  passesOn("reach the server three seconds late", { on: puts, fault: FaultProxy.delayRequest(late) })
  passesOn("are answered three seconds late", { on: puts, fault: FaultProxy.delayAnswer(late) })
  passesOn("are never answered", { on: puts, fault: FaultProxy.blackHole({ carriedOut: true }) })
  passesOn("whose answers are reset", { on: puts, fault: FaultProxy.reset({ carriedOut: true }) })
  passesOn("whose answers trickle for too long", { on: puts, fault: FaultProxy.trickle(20, "100 millis") })
  passesOn("are answered with 500", { on: puts, fault: FaultProxy.serverError({ carriedOut: true }) })
}

export const followersFaults = (it: It): void => {
  scene(
    it,
    "followers whose watches are silent take over in bounded time from a leader that goes",
    Effect.fnUntraced(function* ({ followers, leader, stage }) {
      for (const user of followers) yield* inject(user, { on: watches, fault: FaultProxy.silentWatch })
      yield* Effect.andThen(leader.replica.terminate, leader.replica.exit)
      yield* within("silent watches", "another leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* stage.restart(leader.replica.user)
    })
  )

  scene(
    it,
    "followers whose watches are refused or reset poll, and take over from a leader that goes",
    Effect.fnUntraced(function* ({ followers, leader, stage }) {
      const [one, two] = followers
      if (one !== undefined) yield* inject(one, { on: watches, fault: FaultProxy.reset() })
      if (two !== undefined) yield* inject(two, { on: watches, fault: FaultProxy.serverError() })
      yield* Effect.sleep("2 seconds")
      yield* Effect.andThen(leader.replica.terminate, leader.replica.exit)
      yield* within("reset watches", "another leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* stage.restart(leader.replica.user)
    })
  )

  scene(
    it,
    "followers that hear everything a second late never lead beside a leader that is killed and comes back",
    Effect.fnUntraced(function* ({ followers, leader, stage }) {
      for (const user of followers) {
        yield* inject(user, { on: watches, fault: FaultProxy.reset() })
        yield* stage.proxy(user).healAll
        yield* inject(user, { fault: FaultProxy.delayAnswer("700 millis") })
      }
      yield* Effect.sleep("2 seconds")
      yield* Effect.andThen(leader.replica.kill, leader.replica.exit)
      yield* stage.restart(leader.replica.user)
      yield* within("late followers", "somebody leads", recovery(stage), stage.replicas.nextLeader(leader))
    })
  )

  scene(
    it,
    "a follower that is cut off disturbs nobody",
    Effect.fnUntraced(function* ({ followers, leader, stage }) {
      const [one, two] = followers
      if (one !== undefined) yield* inject(one, { fault: FaultProxy.partition })
      if (two !== undefined) yield* inject(two, { fault: FaultProxy.expiredCertificate })
      yield* Effect.sleep((stage.timings.leaseDuration + 1) * 1000)
      const { token } = yield* stage.workerAfter(yield* now)
      assert.strictEqual(token, leader.token)
    })
  )
}

export const everybodysFaults = (it: It): void => {
  scene(
    it,
    "all are cut off: nobody works after the deadline, and somebody does when it is over",
    Effect.fnUntraced(function* (scene) {
      const { leader, stage } = scene
      for (const user of users) yield* inject(user, { fault: FaultProxy.partition })
      const from = yield* now
      yield* Effect.sleep((stage.timings.leaseDuration + 1) * 1000)
      const until = yield* now
      for (const user of users) yield* stage.proxy(user).healAll
      yield* within("all cut off", "somebody leads", recovery(stage), stage.replicas.nextLeader(leader))
      yield* nobodyWorks(scene, from, until)
    })
  )
}
