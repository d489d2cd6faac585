import { assert, it } from "@effect/vitest"
import { environmentOf, expand, mounted, Pod, Unfit, type ContainerSpec } from "../src/node/Pod.ts"

const container = (more: Partial<ContainerSpec> = {}): ContainerSpec => ({ name: "web", image: "tests/web", ...more })

const pod = new Pod({
  metadata: {
    name: "web-1",
    namespace: "shop",
    uid: "u-1",
    resourceVersion: "1",
    labels: { app: "web", "example.dev/tier": "front" },
    annotations: { note: "hello" }
  },
  spec: { nodeName: "local", serviceAccountName: "clerk", containers: [container()] }
})

const surroundings = {
  address: "127.244.7.1",
  folders: new Map([["store", "/real/store"]]),
  data: (kind: "configmaps" | "secrets", name: string) =>
    name !== "settings" ? undefined : kind === "configmaps" ? { COLOUR: "green" } : { PASSWORD: "secret" }
}

const environment = (more: Partial<ContainerSpec>) => environmentOf(pod, container(more), surroundings)
const field = (fieldPath: string) => ({ name: "X", valueFrom: { fieldRef: { fieldPath } } })

it.each([
  ["metadata.name", "web-1"],
  ["metadata.namespace", "shop"],
  ["metadata.uid", "u-1"],
  ["metadata.labels['app']", "web"],
  ["metadata.labels['example.dev/tier']", "front"],
  ["metadata.labels['absent']", ""],
  ["metadata.annotations['note']", "hello"],
  ["spec.nodeName", "local"],
  ["spec.serviceAccountName", "clerk"],
  ["status.podIP", "127.244.7.1"],
  ["status.hostIP", "127.0.0.1"]
])("the field %s is %j", (path, value) => {
  assert.deepStrictEqual(environment({ env: [field(path)] }), { X: value })
})

it("a field that is not known is an error that names it", () => {
  assert.throws(() => environment({ env: [field("status.phase")] }), Unfit, "status.phase")
})

it("env wins over envFrom, and a later variable may refer to an earlier one only", () => {
  const found = environment({
    envFrom: [{ configMapRef: { name: "settings" } }, { secretRef: { name: "settings" } }],
    env: [
      { name: "EARLY", value: "$(LATE)" },
      { name: "COLOUR", value: "dark $(COLOUR)" },
      { name: "LATE", value: "$(COLOUR), $$(COLOUR), $(NOBODY)" }
    ]
  })
  assert.deepStrictEqual(found, {
    PASSWORD: "secret",
    EARLY: "$(LATE)",
    COLOUR: "dark green",
    LATE: "dark green, $(COLOUR), $(NOBODY)"
  })
})

it("one key of a ConfigMap or a Secret", () => {
  const found = environment({
    env: [
      { name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "COLOUR" } } },
      { name: "B", valueFrom: { secretKeyRef: { name: "settings", key: "PASSWORD" } } },
      { name: "C", valueFrom: { configMapKeyRef: { name: "settings", key: "SIZE", optional: true } } },
      { name: "D", valueFrom: { secretKeyRef: { name: "absent", key: "PASSWORD", optional: true } } }
    ]
  })
  assert.deepStrictEqual(found, { A: "green", B: "secret" })
})

it.each([
  ["configmaps", { envFrom: [{ configMapRef: { name: "absent" } }] }],
  ["secrets", { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "absent", key: "K" } } }] }],
  ["SIZE", { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "SIZE" } } }] }]
] as const)("what is required and not there is an error that names it: %s", (named, more) => {
  assert.throws(() => environment(more), Unfit, named)
})

it("$(NAME) is expanded, $$(NAME) and what is not known are left", () => {
  assert.strictEqual(
    expand("--at=$(HOST):$(PORT) $$(HOST) $(X) $HOST", { HOST: "h", PORT: "1" }),
    "--at=h:1 $(HOST) $(X) $HOST"
  )
})

it("a path in a volume is the volume's real one, and only a whole path", () => {
  const spec = container({ volumeMounts: [{ name: "store", mountPath: "/var/lib/store" }] })
  const real = (value: string) => mounted(spec, surroundings.folders, value)
  assert.strictEqual(real("/var/lib/store"), "/real/store")
  assert.strictEqual(real("/var/lib/store/a.db"), "/real/store/a.db")
  assert.strictEqual(real("/var/lib/storehouse"), "/var/lib/storehouse")
  assert.strictEqual(real("see /var/lib/store"), "see /var/lib/store")
  assert.strictEqual(mounted(container(), surroundings.folders, "/var/lib/store"), "/var/lib/store")
})

it("a variable that names a path in a volume gets the real one", () => {
  const volumeMounts = [{ name: "store", mountPath: "/data" }]
  assert.deepStrictEqual(environment({ volumeMounts, env: [{ name: "FILE", value: "/data/a.db" }] }), {
    FILE: "/real/store/a.db"
  })
})
