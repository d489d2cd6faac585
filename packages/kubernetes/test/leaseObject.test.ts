import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { KubernetesObject } from "../src/KubernetesObject.ts"
import { lease as form } from "../src/internal/LeaseObject.ts"
import * as LockObject from "../src/internal/LockObject.ts"

const at = (text: string) => DateTime.makeUnsafe(text)
const metadata = { name: "reports", namespace: "default", uid: "u-1", resourceVersion: "41" }
const lease = (spec?: unknown, meta: object = {}) => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { ...metadata, ...meta },
  ...(spec === undefined ? {} : { spec })
})
const full = {
  holderIdentity: "a",
  leaseDurationSeconds: 15,
  acquireTime: "2026-01-02T03:04:05.000000Z",
  renewTime: "2026-01-02T03:04:07.123456Z",
  leaseTransitions: 3
}

const readLease = (object: KubernetesObject) => Result.getOrThrow(LockObject.read(form, object))
const readRecord = (object: KubernetesObject) => Option.getOrThrow(readLease(object).record)

describe("reading a Lease", () => {
  it("gives record, version, fence and uid", () => {
    const stored = readLease(lease(full))
    const record = Option.getOrThrow(stored.record)
    assert.strictEqual(stored.version, "41")
    assert.strictEqual(stored.fence, 41n)
    assert.strictEqual(stored.uid, "u-1")
    assert.deepStrictEqual(record.holder, Option.some("a"))
    assert.strictEqual(Duration.toSeconds(record.leaseDuration), 15)
    assert.strictEqual(DateTime.formatIso(record.acquiredAt), "2026-01-02T03:04:05.000Z")
    assert.strictEqual(DateTime.formatIso(record.renewedAt), "2026-01-02T03:04:07.123Z")
    assert.strictEqual(record.transitions, 3)
    assert.isUndefined(record.incarnation)
  })

  it("keeps versions exact beyond 2^53", () => {
    const stored = readLease(lease(full, { resourceVersion: "90071992547409931" }))
    assert.strictEqual(stored.fence, 90071992547409931n)
  })

  it("reads the incarnation from its annotation", () => {
    const record = readRecord(lease(full, { annotations: { [LockObject.incarnationAnnotation]: "i-1", other: "x" } }))
    assert.strictEqual(record.incarnation, "i-1")
  })

  it.each([
    ["of the holder", "10.1.2.3:8080 a", "10.1.2.3:8080"],
    ["of an IPv6 host", "[2001:db8::1]:80 a", "[2001:db8::1]:80"],
    ["of a former holder", "10.1.2.3:8080 b", undefined],
    ["of a holder whose name begins alike", "10.1.2.3:8080 a b", undefined],
    ["of nobody", "10.1.2.3:8080", undefined],
    ["that is empty", "", undefined],
    ["that is only a name", " a", undefined]
  ])("an address %s counts for that holder only", (_, text, address) => {
    const record = readRecord(lease(full, { annotations: { [LockObject.addressAnnotation]: text } }))
    assert.strictEqual(record.address, address)
    const free = readRecord(
      lease({ ...full, holderIdentity: "" }, { annotations: { [LockObject.addressAnnotation]: text } })
    )
    assert.isUndefined(free.address)
  })

  it.each([
    ["no spec", undefined],
    ["a null spec", null],
    ["an empty spec", {}],
    ["a null holder with times", { ...full, holderIdentity: null }],
    ["an empty holder, as client-go releases", { ...full, holderIdentity: "", leaseDurationSeconds: 1 }],
    [
      "all null",
      { holderIdentity: null, leaseDurationSeconds: null, acquireTime: null, renewTime: null, leaseTransitions: null }
    ]
  ])("%s reads as free", (_, spec) => {
    assert.isTrue(Option.isNone(readRecord(lease(spec)).holder))
  })

  it.each([
    ["missing", { holderIdentity: "a" }],
    ["null", { ...full, leaseDurationSeconds: null }],
    ["zero", { ...full, leaseDurationSeconds: 0 }],
    ["negative", { ...full, leaseDurationSeconds: -15 }]
  ])("a holder whose duration is %s can be taken over at once", (_, spec) => {
    const record = readRecord(lease(spec))
    assert.deepStrictEqual(record.holder, Option.some("a"))
    assert.isTrue(Duration.isZero(record.leaseDuration))
  })

  it("a duration of 68 years is what the record says: who renews so may hold it", () => {
    const record = readRecord(lease({ ...full, leaseDurationSeconds: 2147483647 }))
    assert.strictEqual(Duration.toSeconds(record.leaseDuration), 2147483647)
  })

  it.each([
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
    ["2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100Z"],
    ["2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123Z"],
    ["2026-01-02T03:04:05.123456+02:00", "2026-01-02T01:04:05.123Z"],
    ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
    ["2026-01-02T03:04:60Z", "1970-01-01T00:00:00.000Z"],
    ["2026-13-45T99:99:99Z", "1970-01-01T00:00:00.000Z"],
    ["yesterday", "1970-01-01T00:00:00.000Z"],
    ["foo 1", "1970-01-01T00:00:00.000Z"],
    ["", "1970-01-01T00:00:00.000Z"]
  ])("the time %j reads as %s", (text, iso) => {
    const record = readRecord(lease({ ...full, acquireTime: text, renewTime: text }))
    assert.strictEqual(DateTime.formatIso(record.acquiredAt), iso)
    assert.strictEqual(DateTime.formatIso(record.renewedAt), iso)
  })

  it.each([
    ["spec is text", lease("held"), "spec", `"held"`],
    ["spec is a list", lease([full]), "spec", "["],
    ["the holder is a number", lease({ ...full, holderIdentity: 7 }), "spec.holderIdentity", "7"],
    ["the duration is text", lease({ ...full, leaseDurationSeconds: "15s" }), "spec.leaseDurationSeconds", `"15s"`],
    ["the version is no number", lease(full, { resourceVersion: "v41" }), "metadata.resourceVersion", `"v41"`],
    ["the uid is empty", lease(full, { uid: "" }), "metadata.uid", `""`]
  ])("a Lease is refused by field and value when %s", (_, object, field, value) => {
    const refused = LockObject.read(form, object)
    assert.isTrue(Result.isFailure(refused))
    if (Result.isFailure(refused)) {
      assert.instanceOf(refused.failure, LeaseLock.Malformed)
      assert.include(refused.failure.detail, `${field}: `)
      assert.include(refused.failure.detail, value)
    }
  })
})

const record: LeaseLock.LeaseRecord = {
  holder: Option.some("b"),
  incarnation: "i-2",
  leaseDuration: Duration.seconds(5),
  acquiredAt: at("2026-02-03T04:05:06.007Z"),
  renewedAt: at("2026-02-03T04:05:08Z"),
  transitions: 4
}
const overlay = (object: KubernetesObject, next: LeaseLock.LeaseRecord) =>
  Result.getOrThrow(LockObject.overlay(form, object, next))

describe("writing a Lease", () => {
  it("sets its own fields, times with exactly six fraction digits", () => {
    assert.deepStrictEqual(overlay(LockObject.fresh(form, "reports", "default"), record), {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: "reports",
        namespace: "default",
        annotations: { "effect-leader.dev/incarnation": "i-2" }
      },
      spec: {
        holderIdentity: "b",
        leaseDurationSeconds: 5,
        acquireTime: "2026-02-03T04:05:06.007000Z",
        renewTime: "2026-02-03T04:05:08.000000Z",
        leaseTransitions: 4
      }
    })
  })

  it("keeps everything else: labels, annotations, owners, finalizers, unknown fields", () => {
    const meta = {
      labels: { app: "reports" },
      annotations: { note: "keep" },
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "u" }],
      finalizers: ["example.com/f"],
      managedFields: [{ manager: "kubectl" }],
      newMetadata: { deep: [1, 2] }
    }
    const object = {
      ...lease({ ...full, strategy: "OldestEmulationVersion", preferredHolder: "c", future: { x: 1 } }, meta),
      status: { y: 2 }
    }
    const written = overlay(object, record)
    assert.deepStrictEqual(written, {
      ...object,
      metadata: { ...object.metadata, annotations: { note: "keep", "effect-leader.dev/incarnation": "i-2" } },
      spec: {
        strategy: "OldestEmulationVersion",
        preferredHolder: "c",
        future: { x: 1 },
        holderIdentity: "b",
        leaseDurationSeconds: 5,
        acquireTime: "2026-02-03T04:05:06.007000Z",
        renewTime: "2026-02-03T04:05:08.000000Z",
        leaseTransitions: 4
      }
    })
    assert.strictEqual(written.metadata.uid, "u-1")
    assert.strictEqual(written.metadata.resourceVersion, "41")
  })

  it("a released record has an empty holder, as client-go writes it", () => {
    const written = overlay(lease(full), { ...record, holder: Option.none() })
    assert.include(written["spec"], { holderIdentity: "", leaseDurationSeconds: 5, leaseTransitions: 4 })
  })

  it("takes the incarnation away, and nothing else, where the record has none", () => {
    const { incarnation: _, ...without } = record
    const annotations = { note: "keep", [LockObject.incarnationAnnotation]: "i-1" }
    assert.deepStrictEqual(overlay(lease(full, { annotations }), without).metadata.annotations, { note: "keep" })
    assert.isFalse("annotations" in overlay(lease(full), without).metadata)
  })

  it("tells the address with whose it is, and takes it away with the release", () => {
    const holder = Option.some("pod 0")
    const written = overlay(lease(full), { ...record, holder, address: "10.1.2.3:8080" })
    assert.strictEqual(written.metadata.annotations?.[LockObject.addressAnnotation], "10.1.2.3:8080 pod 0")
    assert.deepStrictEqual(readRecord(written), { ...record, holder, address: "10.1.2.3:8080" })
    const { incarnation: _, ...without } = record
    assert.deepStrictEqual(overlay(written, { ...without, holder: Option.none() }).metadata.annotations, {})
  })

  it.each([undefined, null, {}])("writes over a Lease whose spec is %j", (spec) => {
    assert.include(overlay(lease(spec), record)["spec"], { holderIdentity: "b" })
  })

  it("a record that is stored already is told a millisecond later, so that writing it is a change", () => {
    const written = overlay(lease(full), record)
    const again = overlay(written, record)
    assert.deepStrictEqual(readRecord(again), { ...record, renewedAt: at("2026-02-03T04:05:08.001Z") })
    assert.deepStrictEqual(overlay(again, record), written)
  })

  it("what is written reads as the same record", () => {
    const written = overlay(lease(full), record)
    assert.deepStrictEqual(readRecord(written), record)
  })

  it("a count that somebody set too high is kept as high as it can be, so that the lock can still be taken", () => {
    const written = overlay(lease(full), { ...record, transitions: 2 ** 31 })
    assert.strictEqual(readRecord(written).transitions, 2 ** 31 - 1)
  })

  it.each<[string, Partial<LeaseLock.LeaseRecord>, string]>([
    [
      "fractional duration",
      { leaseDuration: Duration.millis(1500) },
      "leaseDuration 1s 500ms must be 1 to 2147483647 whole seconds"
    ],
    ["duration below a second", { leaseDuration: Duration.zero }, "leaseDuration"],
    ["duration beyond int32", { leaseDuration: Duration.seconds(2 ** 31) }, "leaseDuration"],
    ["endless duration", { leaseDuration: Duration.infinity }, "leaseDuration Infinity"],
    ["negative transitions", { transitions: -1 }, "transitions -1"],
    ["fractional transitions", { transitions: 1.5 }, "transitions 1.5"],
    ["an address with a space", { address: "a b:80" }, `address "a b:80"`],
    ["empty holder", { holder: Option.some("") }, `holder ""`],
    ["year 10000", { renewedAt: at("+010000-01-01T00:00:00Z") }, "renewedAt"],
    ["year -1", { acquiredAt: at("-000001-01-01T00:00:00Z") }, "acquiredAt"]
  ])("%s is refused, not cut", (_, wrong, said) => {
    const refused = LockObject.overlay(form, lease(full), { ...record, ...wrong })
    assert.isTrue(Result.isFailure(refused))
    if (Result.isFailure(refused)) assert.include(refused.failure.detail, said)
  })
})
