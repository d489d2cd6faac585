import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { configMap, endpoints, recordAnnotation } from "../src/internal/AnnotatedObject.ts"
import * as LockObject from "../src/internal/LockObject.ts"
import type { KubernetesObject } from "../src/KubernetesObject.ts"

const at = (text: string) => DateTime.makeUnsafe(text)
const object = (annotations?: { readonly [key: string]: string }, rest: object = {}): KubernetesObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: "reports",
    namespace: "default",
    uid: "u-1",
    resourceVersion: "41",
    ...(annotations === undefined ? {} : { annotations })
  },
  ...rest
})
const saying = (record: unknown, more: { readonly [key: string]: string } = {}) =>
  object({ [recordAnnotation]: typeof record === "string" ? record : JSON.stringify(record), ...more })

const read = (from: KubernetesObject) => Result.getOrThrow(LockObject.read(configMap, from))
const readRecord = (from: KubernetesObject) => Option.getOrThrow(read(from).record)
const overlay = (onto: KubernetesObject, record: LeaseLock.LeaseRecord) =>
  Result.getOrThrow(LockObject.overlay(configMap, onto, record))
const textOf = (of: KubernetesObject) => of.metadata.annotations?.[recordAnnotation] ?? ""
const fieldsOf = (of: KubernetesObject): { readonly [key: string]: unknown } => JSON.parse(textOf(of))

/** To the byte what client-go's configmaplock wrote. */
const clientGo =
  `{"holderIdentity":"a","leaseDurationSeconds":15,"acquireTime":"2026-01-02T03:04:05Z",` +
  `"renewTime":"2026-01-02T03:04:07Z","leaderTransitions":3}`

const record: LeaseLock.LeaseRecord = {
  holder: Option.some("b"),
  incarnation: "i-2",
  address: "10.1.2.3:8080",
  leaseDuration: Duration.seconds(5),
  acquiredAt: at("2026-02-03T04:05:06.007Z"),
  renewedAt: at("2026-02-03T04:05:08.120Z"),
  transitions: 4
}

describe("reading the record in an annotation", () => {
  it("of client-go gives record, version, fence and uid", () => {
    assert.deepStrictEqual(read(saying(clientGo)), {
      record: Option.some({
        holder: Option.some("a"),
        leaseDuration: Duration.seconds(15),
        acquiredAt: at("2026-01-02T03:04:05Z"),
        renewedAt: at("2026-01-02T03:04:07Z"),
        transitions: 3
      }),
      version: "41",
      fence: 41n,
      uid: "u-1"
    })
  })

  it.each([
    ["no annotations", object()],
    ["others only", object({ note: "x" })],
    ["an empty one", saying("")]
  ])("%s: there is no lock, though there is an object", (_, from) => {
    assert.isTrue(Option.isNone(read(from).record))
    assert.strictEqual(read(from).fence, 41n)
  })

  it.each([
    ["an empty record", {}],
    ["null", null],
    ["an empty holder, as client-go releases", { holderIdentity: "", leaseDurationSeconds: 1, leaderTransitions: 3 }],
    ["a null holder", { holderIdentity: null, leaseDurationSeconds: 15 }],
    ["all null", { holderIdentity: null, leaseDurationSeconds: null, acquireTime: null, renewTime: null }],
    ["what Go writes for no time", { holderIdentity: "", acquireTime: null, renewTime: null }]
  ])("%s reads as free", (_, stored) => {
    assert.isTrue(Option.isNone(readRecord(saying(stored)).holder))
  })

  it.each([
    ["missing", { holderIdentity: "a" }],
    ["zero", { holderIdentity: "a", leaseDurationSeconds: 0 }],
    ["negative", { holderIdentity: "a", leaseDurationSeconds: -1 }]
  ])("a holder whose duration is %s can be taken over at once", (_, stored) => {
    assert.isTrue(Duration.isZero(readRecord(saying(stored)).leaseDuration))
  })

  it("takes a time that is none for the epoch", () => {
    const { acquiredAt, renewedAt } = readRecord(
      saying({ acquireTime: "yesterday", renewTime: "2026-13-01T00:00:00Z" })
    )
    assert.deepStrictEqual([acquiredAt, renewedAt], [at("1970-01-01T00:00:00Z"), at("1970-01-01T00:00:00Z")])
  })

  it("skips keys that it does not know", () => {
    assert.strictEqual(readRecord(saying({ holderIdentity: "a", strategy: "x", preferredHolder: "y" })).transitions, 0)
  })

  it.each([
    ["no JSON", "held by a", `"held by a", which is no JSON`],
    ["cut off", clientGo.slice(0, 20), "which is no JSON"],
    ["a list", "[]", "which is no election record"],
    ["text", `"a"`, "which is no election record"],
    ["a number as the holder", `{"holderIdentity":7}`, "holderIdentity: "],
    ["text as the duration", `{"leaseDurationSeconds":"15s"}`, "leaseDurationSeconds: "],
    ["a long one", "x".repeat(1000), `${"x".repeat(160)}...`]
  ])("refuses %s, and says what is there and how to mend it", (_, text, said) => {
    const refused = LockObject.read(configMap, saying(text))
    assert.isTrue(Result.isFailure(refused))
    if (Result.isFailure(refused)) {
      assert.instanceOf(refused.failure, LeaseLock.Malformed)
      assert.include(refused.failure.detail, `the stored ConfigMap cannot be read: its annotation ${recordAnnotation}`)
      assert.include(refused.failure.detail, said)
      assert.include(
        refused.failure.detail,
        `kubectl annotate configmaps reports --namespace=default ${recordAnnotation}-`
      )
    }
  })

  it.each([
    ["counts within the second that all are told", "2026-01-02T03:04:07.999Z", "2026-01-02T03:04:07.999Z"],
    ["is another's once the second is not the same", "2026-01-02T03:04:08.000Z", "2026-01-02T03:04:07.000Z"],
    ["that is none is passed over", "soon", "2026-01-02T03:04:07.000Z"],
    ["that is no text is passed over", 7, "2026-01-02T03:04:07.000Z"]
  ])("the exact time %s", (_, exact, iso) => {
    const told = { ...JSON.parse(clientGo), "effect-leader.dev/renewTime": exact }
    assert.strictEqual(DateTime.formatIso(readRecord(saying(told)).renewedAt), iso)
  })

  it("incarnation and address are annotations beside it", () => {
    const beside = { "effect-leader.dev/incarnation": "i-1", "effect-leader.dev/address": "10.1.2.3:80 a" }
    assert.deepInclude(readRecord(saying(clientGo, beside)), { incarnation: "i-1", address: "10.1.2.3:80" })
    const taken = { ...JSON.parse(clientGo), holderIdentity: "go" }
    assert.isUndefined(readRecord(saying(taken, beside)).address)
  })
})

describe("writing the record into an annotation", () => {
  it("writes what client-go reads, and the exact times beside it", () => {
    const written = overlay(object(), record)
    assert.deepStrictEqual(written.metadata.annotations, {
      [recordAnnotation]:
        `{"holderIdentity":"b","leaseDurationSeconds":5,"acquireTime":"2026-02-03T04:05:06Z",` +
        `"renewTime":"2026-02-03T04:05:08Z","leaderTransitions":4,` +
        `"effect-leader.dev/acquireTime":"2026-02-03T04:05:06.007Z","effect-leader.dev/renewTime":"2026-02-03T04:05:08.120Z"}`,
      "effect-leader.dev/incarnation": "i-2",
      "effect-leader.dev/address": "10.1.2.3:8080 b"
    })
    assert.deepStrictEqual(readRecord(written), record)
  })

  it("a renewal within the same second is another text, as peers compare it", () => {
    const first = overlay(object(), record)
    const second = overlay(first, { ...record, renewedAt: at("2026-02-03T04:05:08.121Z") })
    assert.strictEqual(fieldsOf(first)["renewTime"], fieldsOf(second)["renewTime"])
    assert.notStrictEqual(textOf(first), textOf(second))
  })

  it("a record that is stored already is told a millisecond later, so that writing it is a change", () => {
    const written = overlay(object(), record)
    const again = overlay(written, record)
    assert.deepStrictEqual(readRecord(again), { ...record, renewedAt: at("2026-02-03T04:05:08.121Z") })
  })

  it("keeps everything else: data, labels, owners, other annotations, subsets, unknown keys of the record", () => {
    const meta = { labels: { app: "x" }, finalizers: ["example.com/f"], ownerReferences: [{ uid: "u" }] }
    const from = saying({ ...JSON.parse(clientGo), future: { x: 1 } }, { note: "keep" })
    const full = {
      ...from,
      metadata: { ...from.metadata, ...meta },
      data: { a: "b" },
      binaryData: { c: "ZA==" },
      immutable: true,
      subsets: [{ addresses: [{ ip: "10.0.0.1" }] }]
    }
    const written = overlay(full, record)
    assert.deepStrictEqual(
      { ...written, metadata: { ...written.metadata, annotations: {} } },
      { ...full, metadata: { ...full.metadata, annotations: {} } }
    )
    assert.strictEqual(written.metadata.annotations?.["note"], "keep")
    assert.deepStrictEqual(fieldsOf(written)["future"], { x: 1 })
  })

  it("a release keeps the annotation, with an empty holder, and takes incarnation and address away", () => {
    const { address: _, incarnation: __, ...rest } = record
    const written = overlay(overlay(object(), record), { ...rest, holder: Option.none() })
    assert.deepStrictEqual(Object.keys(written.metadata.annotations ?? {}), [recordAnnotation])
    assert.strictEqual(fieldsOf(written)["holderIdentity"], "")
  })

  it("refuses what cannot be held, and does not cut it", () => {
    const wrong = { ...record, leaseDuration: Duration.millis(1500) }
    for (const [form, kind] of [
      [configMap, "a ConfigMap"],
      [endpoints, "an Endpoints"]
    ] as const) {
      const refused = LockObject.overlay(form, object(), wrong)
      assert.include(
        Result.isFailure(refused) ? refused.failure.detail : "",
        `${kind} cannot hold this: leaseDuration 1s 500ms must be 1 to 2147483647 whole seconds`
      )
    }
  })

  it("makes an object of the core group", () => {
    assert.deepStrictEqual(LockObject.fresh(endpoints, "reports", "team-a"), {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "reports", namespace: "team-a" }
    })
  })
})
