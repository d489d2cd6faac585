/**
 * One request on its way to the server, and the answer on its way back: what each fault does to them. When the client
 * goes away the request is taken back from the server, unless the fault says that the network had it already.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Http from "node:http"
import * as Body from "./Body.ts"
import type { RequestFault } from "./Fault.ts"
import type { Later } from "./Log.ts"
import type { Active, Target } from "./Rules.ts"
import { forClient, type Upstream, type ConnectionError } from "./Upstream.ts"

export interface Exchange {
  readonly target: Target
  /** All of it, under the rule that decides. Fails when the server cannot be reached. */
  readonly run: (rule: Active | undefined) => Effect.Effect<void, ConnectionError, Scope.Scope>
  /** From now on the client is told nothing of this watch, until the rule is healed. */
  readonly silence: (rule: Active) => void
  readonly reset: () => void
  /** To be called when the client has gone. Says whether to stop. */
  readonly leave: () => boolean
}

export interface Surroundings {
  readonly target: Target
  readonly request: Http.IncomingMessage
  readonly response: Http.ServerResponse
  readonly upstream: Upstream
  readonly note: (later: Later) => void
  /** Resets the client's connection. */
  readonly reset: () => void
}

export const make = ({ note, request, reset, response, target, upstream }: Surroundings): Exchange => {
  let silencedBy: Active | undefined
  let goesOnAlone = false
  let isAlone = false

  /** Also when the client goes away meanwhile; what follows does not happen then. */
  const regardless = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      goesOnAlone = true
      return effect
    }).pipe(
      Effect.ensuring(Effect.sync(() => (goesOnAlone = false))),
      Effect.tap(() => (isAlone ? Effect.interrupt : Effect.void))
    )

  const noteNow = (what: (at: bigint) => Later) => Effect.map(Clock.monotonicTimeNanos, (at) => note(what(at)))

  /** Returns when the answer begins. */
  const carryOut = Effect.fnUntraced(function* (body: Buffer) {
    yield* noteNow((at) => ({ sentAt: Option.some(at) }))
    const answer = yield* upstream.send({ method: target.method, path: target.path, headers: request.headers, body })
    yield* noteNow((at) => ({ carriedOut: Option.some({ at, status: answer.statusCode ?? 0 }) }))
    return answer
  })
  /** Returns when the last byte of the answer has come. */
  const carryOutWhole = (body: Buffer) =>
    Effect.flatMap(carryOut(body), (answer) => Effect.map(Body.whole(answer), (bytes) => ({ answer, bytes })))

  const begin = (status: number, headers: Http.OutgoingHttpHeaders) =>
    Effect.sync(() => response.writeHead(status, headers).flushHeaders())
  const give = (bytes: Uint8Array): Effect.Effect<void> =>
    Effect.callback((resume) => {
      if (response.write(bytes)) return resume(Effect.void)
      const onDrain = () => resume(Effect.void)
      response.once("drain", onDrain)
      return Effect.sync(() => response.off("drain", onDrain))
    })
  const end = Effect.andThen(
    Effect.sync(() => void response.end()),
    noteNow((at) => ({ answeredAt: Option.some(at) }))
  )
  const giveAnswer = <E>({ headers, statusCode }: Http.IncomingMessage, body: Stream.Stream<Uint8Array, E>) =>
    begin(statusCode ?? 502, forClient(headers)).pipe(
      Effect.andThen(Stream.runForEach(body, give)),
      Effect.andThen(end)
    )

  const isTold = () => silencedBy === undefined || silencedBy.isHealed()
  /** A refusal is no event: it is told whole, since half of it is an answer that the client waits for. */
  const told = (answer: Http.IncomingMessage) =>
    target.isWatch && answer.statusCode === 200 ? Stream.filter(Body.events(answer), isTold) : Body.bytes(answer)
  const pass = (body: Buffer) => Effect.flatMap(carryOut(body), (answer) => giveAnswer(answer, told(answer)))

  /** The server gets an ordinary request after the wait, whoever is still there; a watch that nobody wants is none. */
  const passAfter = (wait: Effect.Effect<void>, body: Buffer) =>
    target.isWatch
      ? Effect.andThen(wait, pass(body))
      : Effect.flatMap(regardless(Effect.andThen(wait, carryOutWhole(body))), ({ answer, bytes }) =>
          giveAnswer(answer, Stream.make(bytes))
        )

  const meet = (fault: RequestFault, rule: Active, body: Buffer): Effect.Effect<void, ConnectionError, Scope.Scope> => {
    switch (fault._tag) {
      case "DelayRequest":
        return passAfter(Effect.sleep(fault.by), body)
      case "Hold":
        return passAfter(rule.healed, body)
      case "DelayAnswer":
        return target.isWatch
          ? Effect.flatMap(carryOut(body), (answer) => giveAnswer(answer, Body.late(told(answer), fault.by)))
          : Effect.flatMap(regardless(carryOutWhole(body)), ({ answer, bytes }) =>
              Effect.andThen(Effect.sleep(fault.by), giveAnswer(answer, Stream.make(bytes)))
            )
      case "BlackHole":
        return Effect.andThen(fault.carriedOut ? regardless(carryOutWhole(body)) : Effect.void, Effect.never)
      case "Reset":
        return Effect.andThen(fault.carriedOut ? cutOff(body, fault.afterBytes) : Effect.void, Effect.sync(reset))
      case "Trickle":
        return Effect.flatMap(carryOut(body), (answer) =>
          giveAnswer(answer, Body.trickling(told(answer), fault.bytes, fault.every))
        )
      case "Answer":
        return Effect.andThen(fault.carriedOut ? regardless(carryOutWhole(body)) : Effect.void, () =>
          begin(fault.status, fault.headers).pipe(Effect.andThen(give(Buffer.from(fault.body))), Effect.andThen(end))
        )
      case "SilentWatch":
        silencedBy = rule
        return pass(body)
    }
  }

  const cutOff = (body: Buffer, afterBytes: number | undefined) =>
    target.isWatch
      ? Effect.flatMap(carryOut(body), (answer) => giveSome(answer, told(answer), afterBytes))
      : Effect.flatMap(regardless(carryOutWhole(body)), ({ answer, bytes }) =>
          giveSome(answer, Stream.make(bytes), afterBytes)
        )
  const giveSome = <E>(
    { headers, statusCode }: Http.IncomingMessage,
    body: Stream.Stream<Uint8Array, E>,
    afterBytes: number | undefined
  ) =>
    afterBytes === undefined
      ? Effect.void
      : begin(statusCode ?? 502, forClient(headers)).pipe(
          Effect.andThen(Stream.runForEach(Body.first(body, afterBytes), give)),
          // What was written in this turn is on the wire only after it.
          Effect.andThen(Effect.sleep(Duration.millis(1)))
        )

  return {
    target,
    reset,
    silence: (rule) => {
      silencedBy = rule
    },
    leave: () => {
      isAlone = true
      return !goesOnAlone
    },
    run: (rule) =>
      Effect.flatMap(Body.whole(request), (body) => (rule === undefined ? pass(body) : meet(rule.fault, rule, body)))
  }
}
