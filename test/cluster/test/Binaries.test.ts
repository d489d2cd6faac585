import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterEach, assert, it, vi } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Binaries from "../src/Binaries.ts"

/** A `go` that writes down what it was asked to build, takes a while, and makes an empty file of it. */
const fakeGo = `#!/bin/sh
[ "$1" = build ] || exit 0
while [ $# -gt 1 ]; do [ "$1" = -o ] && target=$2; shift; done
echo "$1" >> "$GO_LOG"
sleep 0.5
: > "$target"
`

const brokenGo = `#!/bin/sh
[ "$1" = build ] || exit 0
echo "no such module" >&2
exit 1
`

/** Folders of its own for each test, and only this `go` on the PATH. */
const setUp = Effect.fnUntraced(function* (go: string | undefined) {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped()
  yield* fs.makeDirectory(`${root}/bin`)
  yield* fs.makeDirectory(`${root}/assets`)
  if (go !== undefined) yield* fs.writeFileString(`${root}/bin/go`, go, { mode: 0o755 })
  vi.stubEnv("PATH", go === undefined ? `${root}/bin` : `${root}/bin:/usr/bin:/bin`)
  vi.stubEnv("GO_LOG", `${root}/go.log`)
  const built = fs.readFileString(`${root}/go.log`).pipe(
    Effect.map((log) => log.trim().split("\n")),
    Effect.orElseSucceed(() => [])
  )
  return { fs, root, built }
})

const find = (env: Record<string, string>, ...programs: ReadonlyArray<Binaries.Program>) =>
  Binaries.find(programs).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))

afterEach(() => vi.unstubAllEnvs())

it.effect("KUBEBUILDER_ASSETS comes first, what it lacks is built into the cache, and only once", () =>
  Effect.gen(function* () {
    const { fs, root, built } = yield* setUp(fakeGo)
    yield* fs.writeFileString(`${root}/assets/etcd`, "")
    const env = { KUBEBUILDER_ASSETS: `${root}/assets`, XDG_CACHE_HOME: root }

    const paths = yield* find(env, "etcd", "kubectl")
    yield* find(env, "etcd", "kubectl")

    assert.strictEqual(paths.etcd, `${root}/assets/etcd`)
    assert.match(
      paths.kubectl,
      new RegExp(`^${root}/effect-leader/control-plane/etcd-[0-9.]+-kubernetes-[0-9.]+/kubectl$`)
    )
    assert.isTrue(yield* fs.exists(paths.kubectl))
    assert.deepStrictEqual(yield* built, ["k8s.io/kubernetes/cmd/kubectl"])
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("of two runs at once one builds and the other waits for it", () =>
  Effect.gen(function* () {
    const { root, built } = yield* setUp(fakeGo)
    const run = find({ XDG_CACHE_HOME: root }, "etcd", "kube-scheduler")

    const [one, other] = yield* Effect.all([run, run], { concurrency: "unbounded" })

    assert.deepStrictEqual(one, other)
    assert.deepStrictEqual(yield* built, ["go.etcd.io/etcd/server/v3", "k8s.io/kubernetes/cmd/kube-scheduler"])
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("a lock that nobody touches any more is taken over", () =>
  Effect.gen(function* () {
    const { fs, root, built } = yield* setUp(fakeGo)
    const { etcd } = yield* find({ XDG_CACHE_HOME: root }, "etcd")
    const lock = `${etcd.slice(0, -"/etcd".length)}.lock`
    assert.isFalse(yield* fs.exists(lock))
    yield* fs.remove(etcd)
    yield* fs.writeFileString(lock, "")
    yield* fs.utimes(lock, new Date(0), new Date(0))

    yield* find({ XDG_CACHE_HOME: root }, "etcd")

    assert.isTrue(yield* fs.exists(etcd))
    assert.lengthOf(yield* built, 2)
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("without go the error names what is missing and both ways out", () =>
  Effect.gen(function* () {
    const { fs, root } = yield* setUp(undefined)
    yield* fs.writeFileString(`${root}/assets/etcd`, "")

    const error = yield* Effect.flip(
      find({ KUBEBUILDER_ASSETS: `${root}/assets`, XDG_CACHE_HOME: root }, "etcd", "kubectl")
    )

    assert.strictEqual(error.reason._tag, "NoGo")
    assert.match(error.message, /^kubectl: not in .* Set KUBEBUILDER_ASSETS .* or install Go 1\.26/)
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("a failed build says what go said and leaves nothing under the final name", () =>
  Effect.gen(function* () {
    const { fs, root } = yield* setUp(brokenGo)

    const error = yield* Effect.flip(find({ XDG_CACHE_HOME: root }, "etcd"))

    assert.strictEqual(error.reason._tag, "BuildFailed")
    assert.include(error.message, "no such module")
    const [cache] = yield* fs.readDirectory(`${root}/effect-leader/control-plane`)
    assert.deepStrictEqual(yield* fs.readDirectory(`${root}/effect-leader/control-plane/${cache}`), [])
  }).pipe(Effect.provide(NodeServices.layer))
)

it.effect("a folder in KUBEBUILDER_ASSETS that is not there is an error, not a reason to build", () =>
  Effect.gen(function* () {
    const { root, built } = yield* setUp(fakeGo)

    const error = yield* Effect.flip(find({ KUBEBUILDER_ASSETS: `${root}/typo`, XDG_CACHE_HOME: root }, "etcd"))

    assert.strictEqual(error.reason._tag, "AssetsNotFound")
    assert.deepStrictEqual(yield* built, [])
  }).pipe(Effect.provide(NodeServices.layer))
)
