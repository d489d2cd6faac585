/**
 * The embedded server under the semantics tests, over HTTP and over HTTPS.
 */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ApiClient from "./ApiClient.ts"
import { apiSemantics, limitedRules } from "./apiSemantics.ts"

const embedded = (tls: boolean) => {
  const server = EmbeddedApiServer.layer({
    tls,
    users: { admin: { name: "admin", groups: ["system:masters"] }, limited: { name: "limited" } },
    rbac: { limited: limitedRules }
  })
  const target = Effect.map(EmbeddedApiServer.EmbeddedApiServer, ({ ca, url }) => ({
    url,
    ca,
    adminToken: "admin",
    limitedToken: "limited"
  }))
  return ApiClient.layer(target).pipe(Layer.provide(server))
}

apiSemantics("the embedded API server over HTTP", embedded(false))
apiSemantics("the embedded API server over HTTPS", embedded(true))
