import type { LeaderElection, Term } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { TestClock } from "effect/testing"
import { KubernetesClient } from "../src/index.ts"
import * as EventRecorder from "../src/internal/EventRecorder.ts"
import { collecting } from "./Collecting.ts"

const standby: LeaderElection.Leadership = { _tag: "Standby", leader: Option.none(), trouble: Option.none() }
const stopped: LeaderElection.Leadership = { _tag: "Stopped" }

const term = (token: bigint): Term.TermShape => ({
  token,
  since: DateTime.makeUnsafe(0),
  isValid: () => true,
  remaining: Effect.succeed(Duration.seconds(1)),
  guard: (effect) => effect
})

const leading = (token: bigint): LeaderElection.Leadership => ({ _tag: "Leading", term: term(token) })

const draining = (token: bigint, end: LeaderElection.TermEnd, overrun = false): LeaderElection.Leadership => ({
  _tag: "Draining",
  term: term(token),
  end,
  overrun
})

const refused = (status: number) => new KubernetesClient.Refused({ status, reason: "", detail: "no", fields: [] })
const unreachable = new KubernetesClient.Unreachable({ detail: "connection refused" })

type Answer = Effect.Effect<void, KubernetesClient.KubernetesError["reason"]>

interface Asked {
  readonly name: string
  readonly message: string
}

/** A recorder of an election that the test leads through its life, and a server that answers as the test says. */
const recording = Effect.fnUntraced(function* (at: LeaderElection.Leadership = standby) {
  const leadership = yield* SubscriptionRef.make(at)
  const clientScope = yield* Scope.make()
  const layerScope = yield* Scope.make()
  const asked: Array<Asked> = []
  let answer: Answer = Effect.void
  const client = KubernetesClient.KubernetesClient.of({
    server: "https://unused",
    namespace: "default",
    scope: clientScope,
    get: ({ name }) => Effect.succeed({ apiVersion: "v1", kind: "Lease", metadata: { name, uid: "u" } }),
    list: () => Effect.die("unused"),
    create: (_, object) =>
      Effect.suspend(() => {
        asked.push({ name: object.metadata.name ?? "", message: String(object["message"]) })
        return Effect.as(answer, object)
      }).pipe(
        Effect.mapError(
          (reason) =>
            new KubernetesClient.KubernetesError({
              verb: "create",
              resource: "events",
              server: "https://unused",
              reason
            })
        )
      ),
    update: () => Effect.die("unused"),
    watch: () => Stream.die("unused")
  })
  const logs = collecting()
  yield* EventRecorder.run({
    client,
    election: { name: "default/reports", identity: "a", leadership },
    pod: { name: "a", namespace: "default", isPod: false, sources: { name: "", namespace: "" } },
    component: "reports",
    kinds: ["Lease"]
  }).pipe(Scope.provide(layerScope), Effect.provide(logs.layer))
  yield* Effect.addFinalizer(() => Scope.close(clientScope, Exit.void))
  return {
    /** The election is this now, and everybody has heard of it. */
    become: (next: LeaderElection.Leadership) => Effect.andThen(SubscriptionRef.set(leadership, next), settle),
    answerWith: (next: Answer) => {
      answer = next
    },
    asked,
    told: () => [...new Set(asked.map(({ message }) => message.replace(/, .*/, "")))],
    logs,
    /** The client keeps nothing of it any more. */
    isForgotten: () => clientScope.state._tag === "Empty",
    closeLayer: Effect.andThen(Scope.close(layerScope, Exit.void), settle),
    closeClient: Scope.close(clientScope, Exit.void)
  }
})

const settle = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

const pass = (duration: Duration.Input) => Effect.andThen(settle, Effect.andThen(TestClock.adjust(duration), settle))

const elapsed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.forkChild(Effect.andThen(effect, Clock.currentTimeMillis))
    yield* pass("1 minute")
    return (yield* Fiber.join(fiber)) - begun
  })

const began = (token: number) => `a became leader (token ${token})`
const ended = (token: number, end: string) => `a stopped leading (token ${token}): ${end}`

describe("what is told of an election", () => {
  it.effect("is the beginning and the end of every term, once each", () =>
    Effect.gen(function* () {
      const { asked, become, told } = yield* recording()
      yield* become({ ...standby, leader: Option.some({ identity: "b", since: DateTime.makeUnsafe(0) }) })
      assert.deepStrictEqual(asked, [])
      yield* become(leading(1n))
      yield* become(leading(1n))
      yield* become(draining(1n, "Resigned"))
      assert.deepStrictEqual(told(), [began(1)])
      yield* become(standby)
      yield* become(leading(2n))
      yield* become(draining(2n, "Expired"))
      // A new term may follow at once.
      yield* become(leading(3n))
      yield* become(stopped)
      assert.deepStrictEqual(told(), [
        began(1),
        ended(1, "Resigned"),
        began(2),
        ended(2, "Expired"),
        began(3),
        ended(3, "Failed")
      ])
    })
  )

  it.effect("is work that outlives its lease, when it does", () =>
    Effect.gen(function* () {
      const { become, asked } = yield* recording()
      yield* become(leading(1n))
      yield* become(draining(1n, "Shutdown"))
      yield* become(draining(1n, "Shutdown", true))
      assert.include(asked.at(-1)?.message, "a has work that outlived its lease (token 1)")
      yield* become(stopped)
      assert.include(asked.at(-1)?.message, "Shutdown, the program ends, and work outlived the lease")
      assert.strictEqual(asked.length, 3)
    })
  )

  it.effect("is also a term that began before the recorder", () =>
    Effect.gen(function* () {
      const { told } = yield* recording(leading(1n))
      yield* settle
      assert.deepStrictEqual(told(), [began(1)])
    })
  )
})

describe("an Event that cannot be written", () => {
  it.effect("is tried again for two minutes while nobody answers, then dropped with one warning", () =>
    Effect.gen(function* () {
      const { answerWith, asked, become, logs } = yield* recording()
      answerWith(Effect.fail(unreachable))
      yield* become(leading(1n))
      yield* pass("109 seconds")
      assert.strictEqual(asked.length, 11)
      assert.deepStrictEqual(logs.at("Warn"), [])
      yield* pass("1 hour")
      assert.strictEqual(asked.length, 12)
      assert.strictEqual(new Set(asked.map(({ name }) => name)).size, 1)
      yield* become(draining(1n, "Expired"))
      yield* become(standby)
      yield* pass("1 hour")
      assert.strictEqual(asked.length, 24)
      assert.strictEqual(logs.at("Warn").length, 1)
      assert.include(logs.at("Warn")[0], "create events at https://unused: no answer: connection refused")
    })
  )

  it.effect("is written when the server is back in time, and later trouble is said again", () =>
    Effect.gen(function* () {
      const { answerWith, asked, become, logs } = yield* recording()
      answerWith(Effect.fail(unreachable))
      yield* become(leading(1n))
      yield* pass("25 seconds")
      answerWith(Effect.void)
      yield* pass("1 hour")
      assert.strictEqual(asked.length, 4)
      for (const token of [1n, 2n]) {
        answerWith(Effect.fail(refused(403)))
        yield* become(standby)
        answerWith(Effect.void)
        yield* become(leading(token + 1n))
      }
      assert.strictEqual(logs.at("Warn").length, 2)
    })
  )

  it.effect.each([403, 404, 422])("is not tried again after a refusal with %i", (status) =>
    Effect.gen(function* () {
      const { answerWith, asked, become, logs } = yield* recording()
      answerWith(Effect.fail(refused(status)))
      yield* become(leading(1n))
      yield* pass("1 hour")
      assert.strictEqual(asked.length, 1)
      assert.strictEqual(logs.at("Warn").length, 1)
    })
  )

  it.effect.each([429, 500, 503])("is tried again after a %i", (status) =>
    Effect.gen(function* () {
      const { answerWith, asked, become } = yield* recording()
      answerWith(Effect.fail(refused(status)))
      yield* become(leading(1n))
      yield* pass("15 seconds")
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("had been written when a second try finds it there", () =>
    Effect.gen(function* () {
      const { answerWith, asked, become, logs } = yield* recording()
      answerWith(Effect.never)
      yield* become(leading(1n))
      yield* pass("5 seconds")
      answerWith(Effect.fail(refused(409)))
      yield* pass("1 hour")
      assert.strictEqual(asked.length, 2)
      assert.deepStrictEqual(logs.at("Warn"), [])
    })
  )

  it.effect("piles nothing up: the newest sixteen are kept while one is tried", () =>
    Effect.gen(function* () {
      const { answerWith, become, told } = yield* recording()
      answerWith(Effect.never)
      for (let token = 1n; token <= 100n; token++) {
        yield* become(leading(token))
        yield* become(standby)
      }
      assert.deepStrictEqual(told(), [began(1)])
      answerWith(Effect.void)
      yield* pass("1 minute")
      assert.strictEqual(told().length, 17)
      assert.deepStrictEqual(told().slice(-2), [began(100), ended(100, "Failed")])
    })
  )
})

describe("at the end of the program", () => {
  it.effect("the layer closes while the election leads, and the end of the term is told all the same", () =>
    Effect.gen(function* () {
      const { become, closeClient, closeLayer, told } = yield* recording()
      yield* become(leading(1n))
      assert.strictEqual(yield* elapsed(closeLayer), 0)
      yield* become(draining(1n, "Shutdown"))
      assert.deepStrictEqual(told(), [began(1)])
      yield* become(stopped)
      assert.strictEqual(yield* elapsed(closeClient), 0)
      assert.deepStrictEqual(told(), [began(1), ended(1, "Shutdown")])
    })
  )

  it.effect("the client waits for the last Event, a second and no longer", () =>
    Effect.gen(function* () {
      const { answerWith, become, closeClient, closeLayer, told } = yield* recording()
      yield* become(leading(1n))
      answerWith(Effect.never)
      yield* closeLayer
      yield* become(stopped)
      assert.strictEqual(yield* elapsed(closeClient), 1000)
      assert.deepStrictEqual(told(), [began(1), ended(1, "Failed")])
    })
  )

  it.effect("a client that closes before the election waits for nothing, and nothing is told any more", () =>
    Effect.gen(function* () {
      const { asked, become, closeClient, closeLayer } = yield* recording()
      yield* become(leading(1n))
      yield* closeLayer
      assert.strictEqual(yield* elapsed(closeClient), 0)
      yield* become(stopped)
      assert.strictEqual(asked.length, 1)
    })
  )

  it.effect("of the layer alone, later terms are not told", () =>
    Effect.gen(function* () {
      const { become, closeLayer, told } = yield* recording()
      yield* become(leading(1n))
      yield* closeLayer
      yield* become(standby)
      yield* become(leading(2n))
      yield* become(standby)
      assert.deepStrictEqual(told(), [began(1), ended(1, "Failed")])
    })
  )

  it.effect("of the layer alone nothing is kept once all is told", () =>
    Effect.gen(function* () {
      const { answerWith, become, closeLayer, isForgotten, told } = yield* recording()
      yield* become(leading(1n))
      yield* closeLayer
      assert.isFalse(isForgotten())
      const mayAnswer = yield* Deferred.make<void>()
      answerWith(Deferred.await(mayAnswer))
      yield* become(standby)
      assert.isFalse(isForgotten())
      yield* Deferred.succeed(mayAnswer, undefined)
      yield* settle
      assert.deepStrictEqual(told(), [began(1), ended(1, "Failed")])
      assert.isTrue(isForgotten())
    })
  )

  it.effect("of the layer alone while another leads, no term is told", () =>
    Effect.gen(function* () {
      const { asked, become, closeLayer, isForgotten } = yield* recording()
      assert.isFalse(isForgotten())
      yield* closeLayer
      assert.isTrue(isForgotten())
      yield* become(leading(1n))
      yield* become(standby)
      assert.deepStrictEqual(asked, [])
    })
  )
})
