/**
 * A real kube-apiserver under the tests that the embedded one passes in `pnpm test`: what the two have in common is not
 * claimed but shown.
 */
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ApiClient from "../../../packages/testkit/test/ApiClient.ts"
import { apiSemantics, limitedRules } from "../../../packages/testkit/test/apiSemantics.ts"
import { grant } from "../src/Roles.ts"

const target = Effect.gen(function* () {
  const plane = yield* ControlPlane
  yield* grant("limited", limitedRules, ["limited"])
  return {
    url: plane.server,
    ca: Option.some(plane.ca),
    adminToken: plane.adminToken,
    limitedToken: plane.token("limited")
  }
})

apiSemantics("a real API server", ApiClient.layer(target).pipe(Layer.provide(ControlPlane.layer)))
