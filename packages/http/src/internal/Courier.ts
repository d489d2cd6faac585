/**
 * The two ways to a leader elsewhere: the request is sent on, or the client is told where to go.
 */
import { type LeaderElection, Term } from "@effect-leader/core"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import * as Answer from "./Answer.ts"
import * as Attempt from "./Attempt.ts"
import * as Forwarding from "./Forwarding.ts"
import * as RequestBody from "./RequestBody.ts"

/** Asked for once a request, since a body can be taken only once. */
export type Courier = (errand: Errand) => Delivery

/** How one request gets to the leader. */
export interface Delivery {
  readonly to: (destination: Destination) => Effect.Effect<Attempt.Attempt>
  /** As a handler here gets it: the body may have been read to be sent. */
  readonly request: () => HttpServerRequest
}

export interface Errand {
  readonly request: HttpServerRequest
  readonly isIdempotent: boolean
  /** This candidate, and its election. */
  readonly by: Forwarding.Delivery["by"]
}

export interface Destination {
  readonly leader: LeaderElection.Leader
  readonly url: URL
  /** Returns when this leader leads no more. */
  readonly over: Effect.Effect<void>
}

export const forwarding =
  (client: HttpClient.HttpClient, maxBufferedBody: number): Courier =>
  ({ by, isIdempotent, request }) => {
    let kept: RequestBody.RequestBody | undefined
    const to: Delivery["to"] = ({ leader, over, url }) =>
      Effect.gen(function* () {
        const { body, canRepeat } = (kept ??= yield* RequestBody.of(request, maxBufferedBody))
        // Its answer may still be on its way.
        const lost = Effect.andThen(over, Effect.sleep(grace))
        const gone = Effect.map(lost, (): Attempt.Attempt => ({
          _tag: "InDoubt",
          why: `${leader.identity} leads no more, and has not answered`,
          canRepeat: isIdempotent && canRepeat(),
          by: "peer"
        }))
        const sent = Forwarding.send(
          { client, request, body, leader, url, by },
          { body: canRepeat, request: isIdempotent }
        )
        const attempt = yield* Effect.raceFirst(sent, gone)
        if (attempt._tag !== "Answered") return attempt
        // A part of it is not to be taken for the whole.
        const cut = Effect.andThen(
          lost,
          Effect.fail(new Term.NotLeading({ reason: "the term ended within the answer" }))
        )
        return Attempt.answered(Answer.streaming(attempt.response, Stream.interruptWhen(cut)))
      }).pipe(
        Effect.catch((error) =>
          Effect.succeed(
            Attempt.answered(
              error._tag === "AlreadyRead"
                ? HttpServerResponse.text(
                    `The body had been read before it could be sent to ${leader.identity}. Nothing was carried out.\n`,
                    { status: 500 }
                  )
                : // The body did not come whole: there is nobody to answer.
                  HttpServerResponse.empty({ status: 400 })
            )
          )
        )
      )
    return { to, request: () => kept?.request ?? request }
  }

export const redirecting: Courier = ({ request }) => ({
  to: ({ url }) =>
    Effect.succeed(
      Attempt.answered(HttpServerResponse.redirect(url, { status: 307, headers: { "cache-control": "no-store" } }))
    ),
  request: () => request
})

/** For an answer that was given just before the lock changed hands. */
const grace = "1 second"
