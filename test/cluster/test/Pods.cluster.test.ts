/**
 * What a program finds when it runs as a Pod of the cluster, and that nothing of it stays. Each cluster here is one of its
 * own beside those of other tests, so that Pods of two clusters on one machine must not meet.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Cluster } from "../src/Cluster.ts"

const image = { folder: fileURLToPath(new URL("./fixtures", import.meta.url)), entrypoint: ["node", "pod.mjs"] }
const cluster = Cluster.layer({ "tests/pod": image })

const until = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  Effect.repeat(effect, { until: holds, schedule: Schedule.spaced("100 millis") })

const apply = (...items: ReadonlyArray<object>) =>
  Effect.flatMap(Cluster, ({ kubectl }) =>
    kubectl(["apply", "--filename=-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }))
  )

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } })
const ip = field("POD_IP", "status.podIP")

const pod = (name: string, container: object, spec: object = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 2, containers: [{ name: "pod", image: "tests/pod", ...container }], ...spec }
})

const jsonpath = (name: string, path: string) =>
  Effect.flatMap(Cluster, ({ kubectl }) => kubectl(["get", "pod", name, `--output=jsonpath={${path}}`]))

const ready = (name: string) =>
  Effect.flatMap(Cluster, ({ kubectl }) => kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s"]))

/** The environment that the kernel has of it. */
const environmentOf = (pid: number): { readonly [name: string]: string } =>
  Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, "utf8")
      .split("\0")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
  )

const environment = (name: string) =>
  Effect.map(Cluster, ({ pids }) => {
    const [pid = 0] = pids(name)
    return environmentOf(pid)
  })

it.layer(cluster, { excludeTestServices: true, timeout: "15 minutes" })("a Pod", (it) => {
  it.effect("knows who and where it is", () =>
    Effect.gen(function* () {
      const env = [
        ip,
        field("NAME", "metadata.name"),
        field("NAMESPACE", "metadata.namespace"),
        field("UID", "metadata.uid"),
        field("APP", "metadata.labels['app']"),
        field("NODE", "spec.nodeName"),
        field("ACCOUNT", "spec.serviceAccountName"),
        field("HOST_IP", "status.hostIP")
      ]
      yield* apply(pod("fields", { env }))
      yield* ready("fields")
      const podIP = yield* jsonpath("fields", ".status.podIP")
      assert.deepInclude(yield* environment("fields"), {
        NAME: "fields",
        NAMESPACE: "default",
        UID: yield* jsonpath("fields", ".metadata.uid"),
        APP: "fields",
        NODE: yield* jsonpath("fields", ".spec.nodeName"),
        ACCOUNT: "default",
        HOST_IP: "127.0.0.1",
        POD_IP: podIP.replace("10.244.", "127.244.")
      })
    })
  )

  it.effect("may do what the Role of its service account says, and nothing else", () =>
    Effect.gen(function* () {
      const { kubectl } = yield* Cluster
      yield* apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "clerk" } })
      yield* kubectl(["create", "role", "clerk", "--verb=get", "--resource=configmaps", "--resource-name=one"])
      yield* kubectl(["create", "rolebinding", "clerk", "--role=clerk", "--serviceaccount=default:clerk"])
      yield* apply(pod("clerk", { env: [ip] }, { serviceAccountName: "clerk" }))
      yield* ready("clerk")
      const { KUBECONFIG = "" } = yield* environment("clerk")
      const can = (...what: ReadonlyArray<string>) =>
        kubectl(["auth", "can-i", "--kubeconfig", KUBECONFIG, ...what]).pipe(
          Effect.map((answer) => answer.trim()),
          Effect.catch(() => Effect.succeed("no"))
        )
      const who = yield* kubectl(["auth", "whoami", "--kubeconfig", KUBECONFIG, "--output=json"])
      assert.include(who, "system:serviceaccount:default:clerk")
      assert.include(who, yield* jsonpath("clerk", ".metadata.uid"), "the token is bound to the Pod")
      assert.strictEqual(yield* can("get", "configmaps/one"), "yes")
      assert.strictEqual(yield* can("get", "configmaps/other"), "no")
      assert.strictEqual(yield* can("update", "configmaps/one"), "no")
      assert.strictEqual(yield* can("list", "pods"), "no")
    })
  )

  it.effect("has its volumes as folders", () =>
    Effect.gen(function* () {
      const { hostPath } = yield* Cluster
      yield* apply(
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "files" }, data: { "a.txt": "hello" } },
        pod(
          "volumes",
          {
            env: [
              ip,
              { name: "FILE", value: "/etc/files/a.txt" },
              { name: "OWN", value: "/scratch" },
              { name: "SHARED", value: "/shared/x" }
            ],
            volumeMounts: [
              { name: "files", mountPath: "/etc/files" },
              { name: "scratch", mountPath: "/scratch" },
              { name: "shared", mountPath: "/shared" }
            ]
          },
          {
            volumes: [
              { name: "files", configMap: { name: "files" } },
              { name: "scratch", emptyDir: {} },
              { name: "shared", hostPath: { path: "/var/shared" } }
            ]
          }
        )
      )
      yield* ready("volumes")
      const env = yield* environment("volumes")
      assert.strictEqual(readFileSync(env["FILE"] ?? "", "utf8"), "hello")
      assert.isTrue(existsSync(env["OWN"] ?? ""))
      assert.strictEqual(env["SHARED"], `${hostPath("/var/shared")}/x`)
    })
  )

  it.effect("waits and says why, with an image, a ConfigMap or a volume that is not there", () =>
    Effect.gen(function* () {
      const volume = [{ name: "claim", persistentVolumeClaim: { claimName: "c" } }]
      yield* apply(
        pod("imageless", { image: "tests/nothing" }),
        pod("unset", { envFrom: [{ configMapRef: { name: "nothing" } }] }),
        // Past the scheduler, which would wait for the claim.
        pod("claimant", {}, { nodeName: "local", volumes: volume })
      )
      for (const [name, reason, detail] of [
        ["imageless", "ErrImagePull", "tests/nothing"],
        ["unset", "CreateContainerConfigError", "nothing"],
        ["claimant", "CreateContainerConfigError", "claim"]
      ] as const) {
        const waiting = yield* until(jsonpath(name, ".status.containerStatuses[0].state.waiting"), (text) =>
          text.includes(reason)
        )
        assert.include(waiting, detail)
        assert.strictEqual(yield* jsonpath(name, ".status.phase"), "Pending")
      }
    })
  )

  it.effect("counts as available once it was ready for minReadySeconds", () =>
    Effect.gen(function* () {
      const { kubectl } = yield* Cluster
      const template = { metadata: { labels: { app: "patient" } }, spec: pod("patient", { env: [ip] }).spec }
      yield* apply({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "patient" },
        spec: { replicas: 1, minReadySeconds: 2, selector: { matchLabels: { app: "patient" } }, template }
      })
      assert.include(yield* kubectl(["rollout", "status", "deployment/patient", "--timeout=60s"]), "successfully")
    })
  )

  it.effect("of a restartPolicy Never ends as Succeeded or Failed, with its exit code", () =>
    Effect.gen(function* () {
      const once = (name: string, code: number) =>
        pod(name, { command: ["node", "-e", `process.exit(${code})`] }, { restartPolicy: "Never" })
      yield* apply(once("fine", 0), once("broken", 3))
      yield* until(jsonpath("fine", ".status.phase"), (phase) => phase === "Succeeded")
      yield* until(jsonpath("broken", ".status.phase"), (phase) => phase === "Failed")
      const code = ".status.containerStatuses[0].state.terminated.exitCode"
      assert.strictEqual(yield* jsonpath("broken", code), "3")
    })
  )

  it.effect("that is frozen is killed when it was deleted by force", () =>
    Effect.gen(function* () {
      const { kubectl, pids, signal } = yield* Cluster
      yield* apply(pod("frozen", { env: [ip] }))
      yield* ready("frozen")
      const [pid = 0] = pids("frozen")
      yield* signal("frozen", "SIGSTOP")
      yield* kubectl(["delete", "pod", "frozen", "--force", "--grace-period=0"])
      yield* until(
        Effect.sync(() => isAlive(pid)),
        (alive) => !alive
      )
    })
  )
})

it.live("of a cluster that is closed nothing is left, not even a Pod that is frozen and ignores SIGTERM", () =>
  Effect.gen(function* () {
    const left = yield* Effect.gen(function* () {
      const { kubeconfig, logs, pids, podFolder, signal } = yield* Cluster
      yield* apply(pod("last", { env: [ip, { name: "STUBBORN", value: "yes" }] }))
      yield* ready("last")
      assert.include(Option.getOrThrow(yield* logs("last")), "starts")
      yield* signal("last", "SIGSTOP")
      return { pid: pids("last")[0] ?? 0, kubeconfig, podFolder }
    }).pipe(Effect.provide(cluster))

    assert.isAbove(left.pid, 0)
    yield* until(
      Effect.sync(() => isAlive(left.pid)),
      (alive) => !alive
    )
    assert.isFalse(existsSync(left.podFolder))
    assert.isFalse(existsSync(left.kubeconfig))
  })
)

const isAlive = (pid: number): boolean => Option.isSome(Option.liftThrowable(() => process.kill(pid, 0))())
