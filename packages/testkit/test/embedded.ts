/**
 * Tests that have an embedded server of their own.
 */
import { it } from "@effect/vitest"
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ApiClient from "./ApiClient.ts"

export const Server = EmbeddedApiServer.EmbeddedApiServer

/** A client of the server, with its own connections. */
export const client = Effect.flatMap(Server, ({ ca, url }) =>
  ApiClient.make({ url, ca, adminToken: "admin", limitedToken: "limited" })
)

/** A test with a server of its own, in real time. */
export const live = <E>(
  sentence: string,
  test: Effect.Effect<void, E, EmbeddedApiServer.EmbeddedApiServer | Scope.Scope>,
  options?: EmbeddedApiServer.Options
): void => it.live(sentence, () => test.pipe(Effect.scoped, Effect.provide(EmbeddedApiServer.layer(options))))

/** The Lease `reports`, as the store takes it. */
export const reports = (holderIdentity: string) => ({ metadata: { name: "reports" }, spec: { holderIdentity } })

export const holderOf = (event: ApiClient.WatchEvent): unknown => ApiClient.at(event.object, "spec.holderIdentity")

export const versionIn = (body: unknown): string => ApiClient.textAt(body, "metadata.resourceVersion")
