/**
 * `pnpm cluster`: a Kubernetes cluster on this machine for a person, until Ctrl-C.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Cluster } from "./Cluster.ts"
import * as Forwards from "./Forwards.ts"
import * as Images from "./node/Images.ts"

const lines = (cluster: Cluster["Service"]): string => `
A Kubernetes cluster runs on this machine. In another terminal:

  export KUBECONFIG=${cluster.kubeconfig}
  alias kubectl=${cluster.kubectlPath}

  kubectl get nodes
  kubectl apply -k examples/leader-routed-service
  kubectl get lease --watch

Pods are processes, and images are the folders of the examples: ${Object.keys(Images.examples()).join(", ")}.
Logs of Pods are files (kubectl logs and exec do not work):

  tail -F ${cluster.podFolder}/*/*.log

There is no kube-proxy: requests to a Service go through a port here, which is printed when the Service appears.
Ctrl-C ends everything and removes its files.
`

const program = Effect.gen(function* () {
  yield* Console.log("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and one node ...")
  const cluster = yield* Cluster
  yield* Console.log(lines(cluster))
  yield* Forwards.run(cluster)
})

program.pipe(
  Effect.provide(Cluster.layer()),
  Effect.tapError((error) => Console.error(error.message)),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
