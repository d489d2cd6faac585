/**
 * The first program: start it as often as you like, one of the processes does the job. They elect on a Kubernetes Lease
 * named hello-leader, at the server that kubectl would talk to.
 */
import { LeaderElection } from "@effect-leader/core"
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Logger } from "effect"
import { job } from "./job.ts"

const Election = LeaderElection.layerConfig().pipe(
  Layer.provide(KubernetesLock.layerLease({ name: "hello-leader" })),
  Layer.provide(KubernetesClient.layer)
)

LeaderElection.whileLeading(job).pipe(
  Effect.provide(Election),
  Effect.provide(Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : Logger.consoleJson])),
  NodeRuntime.runMain
)
