import { LeaderElection } from "@effect-leader/core"
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type * as Candidates from "./Candidates.ts"

/** Tells what it was asked, and under which token. */
export const echo: Candidates.Handlers = HttpRouter.add("*", "/*", (request) =>
  Effect.gen(function* () {
    const { token } = yield* LeaderElection.Term
    const body = yield* Effect.orDie(request.text)
    const { headers, method, originalUrl } = request
    const answer = { token: String(token), method, url: originalUrl, headers, body }
    return HttpServerResponse.jsonUnsafe(answer, {
      status: 201,
      headers: { "x-answer": "yes", connection: "x-secret", "x-secret": "1" }
    }).pipe(
      HttpServerResponse.setCookieUnsafe("one", "1"),
      HttpServerResponse.setCookieUnsafe("two", "2", { path: "/", httpOnly: true })
    )
  })
)
