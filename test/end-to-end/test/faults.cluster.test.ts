/**
 * The script of faults: every one alone, on three real processes and a real etcd and kube-apiserver. The processes live
 * through all of it, one stage for all tests, and each test judges the whole history so far.
 */
import { layer } from "@effect/vitest"
import * as Layer from "effect/Layer"
import * as RealServer from "../src/RealServer.ts"
import * as Stage from "../src/Stage.ts"
import { everybodysFaults, followersFaults, leadersFaults, oneWayFaults, toleratedFaults } from "./faults/network.ts"
import { processFaults, terminatedInPut } from "./faults/processes.ts"
import { serverFaults } from "./faults/servers.ts"

const timings = { leaseDuration: 4, renewDeadline: 2.5, retryPeriod: 0.5 }

const stage = Stage.layer(timings).pipe(Layer.provideMerge(RealServer.layer))

layer(stage, { excludeTestServices: true, timeout: "15 minutes" })("faults on a real API server", (it) => {
  toleratedFaults(it)
  leadersFaults(it)
  oneWayFaults(it)
  followersFaults(it)
  everybodysFaults(it)
  processFaults(it)
  terminatedInPut(it)
  serverFaults(it)
})
