/**
 * The tests of processes on the embedded API server, with the shortest timings that a Lease allows sensibly.
 */
import * as EmbeddedServer from "../src/EmbeddedServer.ts"
import { processTests } from "./processTests.ts"

const timings = { leaseDuration: 3, renewDeadline: 2, retryPeriod: 0.5 }

processTests("the embedded API server", EmbeddedServer.layer, {
  handover: { timings, rounds: 3 },
  requests: { timings, watchedFor: 3 },
  crash: { timings, alsoWithoutGuards: false },
  access: timings,
  restart: { timings, downFor: 0.7 },
  outage: { timings, downFor: 3.5 }
})
