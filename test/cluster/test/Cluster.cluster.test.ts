import { assert, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import { Cluster } from "../src/Cluster.ts"

const image = { folder: fileURLToPath(new URL("./fixtures", import.meta.url)), entrypoint: ["node", "pod.mjs"] }
const cluster = Layer.merge(Cluster.layer({ "tests/pod": image }), NodeHttpClient.layerUndici)

const until = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  Effect.repeat(effect, { until: holds, schedule: Schedule.spaced("100 millis") })

const container = (env: object) => ({
  name: "pod",
  image: "tests/pod:latest",
  ports: [{ name: "http", containerPort: 8080 }],
  envFrom: [{ configMapRef: { name: "settings" } }],
  env: [
    { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
    { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    { name: "GREETING", value: "$(COLOUR) and $(UNKNOWN)" },
    ...Object.entries(env).map(([name, value]) => ({ name, value }))
  ],
  readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 1, failureThreshold: 1 }
})

const manifests = (name: string, kind: "Deployment" | "StatefulSet", replicas: number, env: object = {}) => ({
  apiVersion: "v1",
  kind: "List",
  items: [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { COLOUR: "green" } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { selector: { app: name }, ports: [{ port: 80, targetPort: "http" }] }
    },
    {
      apiVersion: "apps/v1",
      kind,
      metadata: { name },
      spec: {
        replicas,
        ...(kind === "StatefulSet" ? { serviceName: name } : {}),
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: { terminationGracePeriodSeconds: 2, containers: [container(env)] }
        }
      }
    }
  ]
})

const apply = Effect.fnUntraced(function* (...args: Parameters<typeof manifests>) {
  const { kubectl } = yield* Cluster
  yield* kubectl(["apply", "--filename=-"], JSON.stringify(manifests(...args)))
  yield* kubectl(["rollout", "status", `${args[1].toLowerCase()}/${args[0]}`, "--timeout=60s"])
})

const names = (app: string) =>
  Effect.flatMap(Cluster, ({ kubectl }) => kubectl(["get", "pods", "--selector", `app=${app}`, "--output=name"])).pipe(
    Effect.map((text) =>
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.replace("pod/", ""))
    )
  )

const Environment = Schema.fromJsonString(Schema.Record(Schema.String, Schema.String))

const ask = (service: string, path = "/") =>
  Effect.gen(function* () {
    const { endpoints } = yield* Cluster
    const [first] = yield* endpoints(service)
    if (first === undefined) return yield* Effect.die(`nobody is behind ${service}`)
    const response = yield* HttpClient.get(`http://${first.host}:${first.port}${path}`)
    return { pod: first.pod, env: yield* Effect.flatMap(response.text, Schema.decodeUnknownEffect(Environment)) }
  })

it.layer(cluster, { excludeTestServices: true, timeout: "15 minutes" })("a cluster", (it) => {
  it.effect("a Deployment becomes ready Pods with their environment, behind their Service", () =>
    Effect.gen(function* () {
      const { endpoints } = yield* Cluster
      yield* apply("web", "Deployment", 2)
      const ready = yield* until(endpoints("web"), ({ length }) => length === 2)
      assert.deepStrictEqual(ready.map(({ pod }) => pod).toSorted(), (yield* names("web")).toSorted())
      const { env, pod } = yield* ask("web")
      assert.deepInclude(env, { POD_NAME: pod, APP: "web", COLOUR: "green", GREETING: "green and $(UNKNOWN)" })
    })
  )

  it.effect("a Pod whose probe fails leaves the Service", () =>
    Effect.gen(function* () {
      const { watchEndpoints } = yield* Cluster
      const { pod } = yield* ask("web", "/not-ready")
      const rest = yield* watchEndpoints("web").pipe(
        Stream.filter(({ length }) => length === 1),
        Stream.runHead
      )
      assert.notStrictEqual(Option.getOrThrow(rest)[0]?.pod, pod)
    })
  )

  it.effect("kill -9: the same Pod starts again; delete: SIGTERM, and another Pod", () =>
    Effect.gen(function* () {
      const { kubectl, pids, signal } = yield* Cluster
      const [first = "", second = ""] = yield* names("web")
      const restarts = kubectl(["get", "pod", first, "--output=jsonpath={.status.containerStatuses[0].restartCount}"])
      yield* signal(first, "SIGKILL")
      yield* until(restarts, (count) => count === "1")
      yield* until(
        Effect.sync(() => pids(first)),
        ({ length }) => length === 1
      )
      const [pid = 0] = pids(second)
      assert.isAbove(pid, 0)
      yield* kubectl(["delete", "pod", second, "--wait=false"])
      yield* until(
        Effect.sync(() => isAlive(pid)),
        (alive) => !alive
      )
      const after = yield* until(names("web"), (pods) => pods.length === 2 && !pods.includes(second))
      assert.include(after, first)
      yield* kubectl(["rollout", "status", "deployment/web", "--timeout=60s"])
    })
  )

  it.effect("kubectl rollout restart replaces every Pod", () =>
    Effect.gen(function* () {
      const { kubectl } = yield* Cluster
      const before = yield* names("web")
      yield* kubectl(["rollout", "restart", "deployment/web"])
      yield* kubectl(["rollout", "status", "deployment/web", "--timeout=60s"])
      yield* until(names("web"), (pods) => pods.length === 2 && pods.every((pod) => !before.includes(pod)))
    })
  )

  it.effect("a StatefulSet has stable names, and what ignores SIGTERM is killed after its grace", () =>
    Effect.gen(function* () {
      const { kubectl, pids } = yield* Cluster
      yield* apply("set", "StatefulSet", 2, { STUBBORN: "yes" })
      assert.deepStrictEqual((yield* names("set")).toSorted(), ["set-0", "set-1"])
      const [pid = 0] = pids("set-1")
      yield* kubectl(["delete", "pod", "set-1", "--wait=false"])
      yield* until(
        Effect.sync(() => isAlive(pid)),
        (alive) => !alive
      )
      yield* kubectl(["rollout", "status", "statefulset/set", "--timeout=60s"])
    })
  )

  it.effect("Pods run on while the API server is away, and the agent is there when it is back", () =>
    Effect.gen(function* () {
      const { endpoints, kubectl, pids, plane } = yield* Cluster
      const before = (yield* names("web")).flatMap((pod) => pids(pod))
      yield* plane.killApiServer
      yield* plane.startApiServer
      yield* kubectl(["scale", "deployment/web", "--replicas=3"])
      yield* until(
        Effect.orElseSucceed(endpoints("web"), () => []),
        ({ length }) => length === 3
      )
      assert.isTrue(before.every(isAlive))
    })
  )
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
