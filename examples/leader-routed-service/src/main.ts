/**
 * The program: every replica can serve, and the Service reaches the one that leads. It elects on the Lease
 * leader-routed-service, and while it leads the Service leader-routed-service selects its pod.
 *
 * From the environment: LEASE_DURATION, RENEWAL_DEADLINE and RETRY_PERIOD in whole seconds, HOST (default 0.0.0.0) and PORT
 * (8080), the pod's own facts (POD_NAME, POD_NAMESPACE, POD_UID, NODE_NAME, POD_IP), and KUBECONFIG, as for kubectl.
 */
import { LeaderElection } from "@effect-leader/core"
import { Identity, KubernetesClient, KubernetesLock, LeaderEvents, LeaderRouting } from "@effect-leader/kubernetes"
import { NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Effect, Layer, Logger } from "effect"
import { createServer } from "node:http"
import { name } from "./manifests.ts"
import * as Service from "./Service.ts"

/** The leader's address needs the port as well, where the environment does not say it. */
const Defaults = ConfigProvider.layerAdd(ConfigProvider.fromUnknown({ PORT: "8080" }))

const Server = NodeHttpServer.layerConfig(createServer, {
  host: Config.String("HOST").pipe(Config.withDefault("0.0.0.0")),
  port: Config.Port("PORT"),
  gracefulShutdownTimeout: Config.succeed("2 seconds")
})

const Election = LeaderElection.layerConfig().pipe(
  Layer.provide(KubernetesLock.layerLease({ name })),
  Layer.provide(Identity.layerElectionConfig())
)

const Main = Service.layer.pipe(
  Layer.provide(Server),
  Layer.provide(NodeHttpClient.layerUndici),
  Layer.provideMerge(Layer.mergeAll(LeaderRouting.layerServiceSelector({ service: name }), LeaderEvents.layer())),
  Layer.provide(Election),
  Layer.provide(Identity.layer),
  Layer.provide(KubernetesClient.layer),
  Layer.provide(Defaults)
)

Layer.launch(Main).pipe(
  // What is wrong with the settings is told in its own words, without a stack.
  Effect.tapError((error) =>
    Effect.logFatal(error._tag === "ServeError" ? `cannot serve: ${String(error.cause)}` : error.message)
  ),
  Effect.provide(Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : Logger.consoleJson])),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
