/**
 * The same jobs in one process, without Kubernetes: the lock and the log are in memory, and gone when it ends.
 */
import { LeaderElection, LeaseLock } from "@effect-leader/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Layer from "effect/Layer"
import * as JobLog from "./JobLog.ts"
import { jobs } from "./jobs.ts"
import * as Scheduler from "./Scheduler.ts"

const Main = Scheduler.layer(jobs).pipe(
  Layer.provide(LeaderElection.layerConfig()),
  Layer.provide(LeaseLock.layerMemory({ name: "cron-on-leader" })),
  Layer.provide(JobLog.layerMemory)
)

Layer.launch(Main).pipe(NodeRuntime.runMain)
