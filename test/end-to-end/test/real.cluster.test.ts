/**
 * The tests of processes on a real etcd and kube-apiserver: with client-go's default timings where nothing has to expire,
 * with shorter ones where something does.
 */
import * as RealServer from "../src/RealServer.ts"
import { processTests } from "./processTests.ts"

const usual = { leaseDuration: 15, renewDeadline: 10, retryPeriod: 2 }
const short = { leaseDuration: 5, renewDeadline: 4, retryPeriod: 1 }

processTests("a real API server", RealServer.layer, {
  handover: { timings: usual, rounds: 10 },
  requests: { timings: usual, watchedFor: 15 },
  crash: { timings: short, alsoWithoutGuards: true },
  access: short,
  restart: { timings: usual, downFor: 0 },
  outage: { timings: short, downFor: 30 }
})
