/**
 * The program: replicas elect on the Lease cron-on-leader, the leader runs the jobs and keeps their log in the ConfigMap
 * cron-on-leader, and every replica serves its health, its metrics and a status page.
 *
 * From the environment: HOST (default 0.0.0.0) and PORT (8080), the pod's identity (POD_NAME, POD_NAMESPACE, POD_IP, ...),
 * the election's timings (LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD), and KUBECONFIG, as for kubectl.
 */
import { LeaderElection } from "@effect-leader/core"
import { LeaderHealth, LeaderMetrics, LeaderStatus } from "@effect-leader/http"
import { Identity, KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { createServer } from "node:http"
import { jobs } from "./jobs.ts"
import * as KubernetesJobLog from "./KubernetesJobLog.ts"
import { name } from "./manifests.ts"
import * as Scheduler from "./Scheduler.ts"

/** The leader's address needs the port as well, where the environment does not say it. */
const Defaults = ConfigProvider.layerAdd(ConfigProvider.fromUnknown({ PORT: "8080" }))

const Server = NodeHttpServer.layerConfig(createServer, {
  host: Config.String("HOST").pipe(Config.withDefault("0.0.0.0")),
  port: Config.Port("PORT"),
  gracefulShutdownTimeout: Config.succeed("2 seconds")
})

const Pages = Layer.mergeAll(LeaderHealth.layer(), LeaderMetrics.layer(), LeaderStatus.layer())

const Election = LeaderElection.layerConfig().pipe(
  Layer.provide(KubernetesLock.layerLease({ name })),
  Layer.provide(Identity.layerElectionConfig()),
  Layer.provide(Identity.layer)
)

const Main = Layer.mergeAll(
  Scheduler.layer(jobs).pipe(Layer.provide(KubernetesJobLog.layer({ name }))),
  HttpRouter.serve(Pages, { disableLogger: true }).pipe(Layer.provide(Server))
).pipe(Layer.provide(Election), Layer.provide(KubernetesClient.layer), Layer.provide(Defaults))

Layer.launch(Main).pipe(
  // What is wrong with the settings is told in its own words, without a stack.
  Effect.tapError((error) =>
    Effect.logFatal(error._tag === "ServeError" ? `cannot serve: ${String(error.cause)}` : error.message)
  ),
  Effect.provide(Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : Logger.consoleJson])),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
