/**
 * What three real processes do on an API server, whichever it is: elect one of them, hand over, survive a kill, a stop, a
 * restart and an outage of the server, and bother it as little as they may. The embedded server gets short timings, the
 * real one those that people use.
 */
import { layer } from "@effect/vitest"
import type * as Layer from "effect/Layer"
import type { ApiServer } from "../src/ApiServer.ts"
import type { Timings } from "../src/Replicas.ts"
import { accessTests } from "./processes/access.ts"
import { type CrashPlan, crashTests } from "./processes/crash.ts"
import { type HandoverPlan, handoverTests } from "./processes/handover.ts"
import { type OutagePlan, outageTests } from "./processes/outage.ts"
import { type RequestsPlan, requestsTests } from "./processes/requests.ts"

export interface Plan extends OutagePlan {
  readonly handover: HandoverPlan
  readonly crash: CrashPlan
  readonly requests: RequestsPlan
  readonly access: Timings
}

export const processTests = <E>(name: string, server: Layer.Layer<ApiServer, E>, plan: Plan): void => {
  layer(server, { excludeTestServices: true, timeout: "15 minutes" })(`three processes on ${name}`, (it) => {
    handoverTests(it, name, plan.handover)
    requestsTests(it, name, plan.requests)
    crashTests(it, name, plan.crash)
    accessTests(it, name, plan.access)
    outageTests(it, name, plan)
  })
}
