/**
 * The program: pods that share one store, and elect who may write to it. Everything is set by the environment, see the
 * README.
 */
import { LeaderElection } from "@effect-leader/core"
import { Identity, KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Effect, Layer, Logger } from "effect"
import { createServer } from "node:http"
import * as App from "./App.ts"
import { say } from "./Setting.ts"
import * as StoreConfig from "./StoreConfig.ts"

/** What the environment does not say. Each under the last name that counts, so that any name in the environment goes first. */
const Defaults = ConfigProvider.layerAdd(
  ConfigProvider.fromUnknown({ PORT: "8080", LEASE_DURATION: "10", RENEWAL_DEADLINE: "5", RETRY_PERIOD: "2" })
)

const Election = LeaderElection.layerConfig().pipe(
  Layer.provide(KubernetesLock.layerConfig({ name: "leader-follower-store" })),
  Layer.provide(Identity.layerElectionConfig()),
  Layer.provideMerge(Identity.layer),
  Layer.provideMerge(KubernetesClient.layer)
)

const Server = NodeHttpServer.layerConfig(createServer, {
  host: Config.String("HOST").pipe(Config.withDefault("0.0.0.0")),
  port: Config.Port("PORT"),
  gracefulShutdownTimeout: Config.succeed("2 seconds")
})

const Program = App.layer.pipe(
  Layer.provide(Server),
  Layer.provide(Election),
  Layer.provide(StoreConfig.layer),
  Layer.provide(Defaults)
)

Layer.launch(Program).pipe(
  // What is wrong with the settings is told in a sentence, without a stack. The exit code is 1.
  Effect.tapError((error) => Effect.logFatal(say(error))),
  Effect.provide(Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : Logger.consoleJson])),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
