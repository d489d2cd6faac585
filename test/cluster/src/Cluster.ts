/**
 * A whole Kubernetes cluster without containers: the control plane with kube-controller-manager and kube-scheduler, and one
 * node whose Pods are local processes. What is applied with kubectl becomes Deployments, ReplicaSets and Pods, with
 * Services, Roles and service accounts as anywhere. There is no kube-proxy: `endpoints` says where a Service leads.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as Binaries from "./Binaries.ts"
import { ControlPlane } from "./ControlPlane.ts"
import * as Daemon from "./Daemon.ts"
import * as FreePort from "./FreePort.ts"
import * as Api from "./node/Api.ts"
import * as Images from "./node/Images.ts"
import * as NodeAgent from "./NodeAgent.ts"
import * as ProcessGuard from "./ProcessGuard.ts"
import { inRealTime } from "./RealTime.ts"
import * as Services from "./Services.ts"

export type { Endpoint } from "./Services.ts"
export type { Images } from "./node/Images.ts"

export class Cluster extends Context.Service<
  Cluster,
  {
    readonly plane: ControlPlane["Service"]
    /** As the administrator; prints what kubectl prints. */
    readonly kubectl: ControlPlane["Service"]["kubectl"]
    /** The administrator's. */
    readonly kubeconfig: string
    /** Where `kubectl` is, for a person. */
    readonly kubectlPath: string
    /** Sends a signal to the processes of a Pod's containers: SIGKILL, SIGSTOP, SIGCONT. */
    readonly signal: (pod: string, signal: NodeJS.Signals) => Effect.Effect<void>
    readonly pids: (pod: string) => ReadonlyArray<number>
    /** What a Pod's first container has printed, over all its restarts; none once the Pod is gone. */
    readonly logs: (pod: string) => Effect.Effect<Option.Option<string>>
    /** A folder for each Pod, with its logs. */
    readonly podFolder: string
    /** Where a path of the node, as a `hostPath` volume names it, really is. */
    readonly hostPath: (path: string) => string
    /** Where requests to a Service go now. */
    readonly endpoints: (
      service: string,
      namespace?: string
    ) => Effect.Effect<ReadonlyArray<Services.Endpoint>, Api.Failure | Schema.SchemaError>
    /** The same, now and at every change, until the API server ends the watch. */
    readonly watchEndpoints: (
      service: string,
      namespace?: string
    ) => Stream.Stream<ReadonlyArray<Services.Endpoint>, Api.Failure | Schema.SchemaError>
  }
>()("@effect-leader/test-cluster/Cluster") {
  /** With the examples as images; `more` adds others. One layer, one cluster. */
  static readonly layer = (
    more: Images.Images = {}
  ): Layer.Layer<
    Cluster,
    Binaries.BinariesError | Daemon.DaemonError | PlatformError | Config.ConfigError | Api.Failure
  > =>
    Layer.effect(Cluster, make({ ...Images.examples(), ...more })).pipe(
      Layer.provide(ControlPlane.layer),
      Layer.provide(NodeServices.layer)
    )
}

const make = (images: Images.Images) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const plane = yield* ControlPlane
    const programs = yield* Binaries.find(["kube-controller-manager", "kube-scheduler", "kubectl"])
    const guard = yield* ProcessGuard.make("effect-leader-cluster-")
    const api = Api.make(plane.client("admin"))
    const kubeconfig = plane.kubeconfig("admin")

    const daemon = (program: "kube-controller-manager" | "kube-scheduler", args: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const port = yield* FreePort.find
        const http = yield* NodeHttpClient.makeDispatcherOptions({
          connect: { rejectUnauthorized: false },
          allowH2: false
        }).pipe(
          Effect.flatMap((dispatcher) =>
            Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
          )
        )
        const it = yield* Daemon.make({
          program,
          path: programs[program],
          args: [
            `--kubeconfig=${kubeconfig}`,
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            `--secure-port=${port}`,
            ...args
          ],
          guard,
          isReady: http.get(`https://127.0.0.1:${port}/healthz`).pipe(
            Effect.map((response) => response.status === 200),
            Effect.timeout("2 seconds"),
            Effect.orElseSucceed(() => false)
          )
        })
        yield* it.start
      })
    yield* Effect.all(
      [
        daemon("kube-controller-manager", [
          `--service-account-private-key-file=${plane.folder}/sa.key`,
          "--use-service-account-credentials=false",
          "--controllers=*,-node-lifecycle-controller,-node-ipam-controller",
          `--cert-dir=${guard.folder}/controller-manager`
        ]),
        daemon("kube-scheduler", [])
      ],
      { concurrency: "unbounded", discard: true }
    )

    const agent = yield* NodeAgent.make({
      name: "local",
      http: plane.client("admin"),
      server: plane.server,
      ca: plane.ca,
      images,
      guard
    })
    // The controllers make it; a Pod without one is not admitted to run.
    yield* api
      .get("/api/v1/namespaces/default/serviceaccounts/default")
      .pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))

    const withPod = <A>(pod: string, use: (running: NodeAgent.Running) => A): Option.Option<A> =>
      Option.map(agent.running(pod), use)

    return Cluster.of({
      plane,
      kubectl: plane.kubectl,
      kubeconfig,
      kubectlPath: programs.kubectl,
      signal: (pod, signal) =>
        Effect.sync(() => {
          withPod(pod, ({ containers }) => containers.forEach((container) => container.signal(signal)))
        }),
      pids: (pod) =>
        Option.getOrElse(
          withPod(pod, ({ containers }) =>
            containers.flatMap((container) => {
              const pid = container.pid()
              return pid === undefined ? [] : [pid]
            })
          ),
          () => []
        ),
      logs: (pod) =>
        Option.match(
          withPod(pod, ({ log }) => log),
          {
            onNone: () => Effect.succeedNone,
            onSome: (log) => Effect.asSome(Effect.orElseSucceed(fs.readFileString(log), () => ""))
          }
        ),
      podFolder: `${guard.folder}/pods`,
      hostPath: (path) => `${guard.folder}/host${path}`,
      endpoints: (service, namespace = "default") => Services.endpoints(api, namespace, service),
      watchEndpoints: (service, namespace = "default") => Services.changes(api, namespace, service)
    })
  }).pipe(inRealTime)
