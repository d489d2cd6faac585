/**
 * client-go's candidates and ours on one Lease: each kind takes over from the other, and finds in the Lease what it expects
 * there. client-go's followers poll, so what they do is bounded loosely.
 */
import { inMillis } from "@effect-leader/test-end-to-end/src/History.ts"
import { assert, layer } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isOurs } from "../src/Candidates.ts"
import * as LeaseVersions from "../src/LeaseVersions.ts"
import * as Stage from "../src/Stage.ts"
import * as Turns from "../src/Turns.ts"

const incarnation = "effect-leader.dev/incarnation"
const seconds = (count: number) => BigInt(Math.round(count * 1e9))
/** client-go waits for 1 to 2.2 retry periods between two looks. */
const longestPoll = seconds(2.2 * Turns.timings.retryPeriod)
/** What a busy machine takes. */
const slack = seconds(3)

layer(Turns.layer.pipe(Layer.provideMerge(Stage.layer)), { excludeTestServices: true, timeout: "15 minutes" })(
  "two of client-go and two of ours on one Lease",
  (it) => {
    it.effect("each kind takes over from the other, on release and on kill", () =>
      Effect.gen(function* () {
        const { turns } = yield* Turns.Turns
        assert.deepStrictEqual(
          turns.map(({ by, exit, from, to }) => [from, by, exit, to]),
          [
            ["client-go", "release", 0, "ours"],
            ["ours", "kill", "SIGKILL", "client-go"],
            ["client-go", "kill", "SIGKILL", "ours"],
            ["ours", "release", 130, "client-go"]
          ]
        )
        for (const { at, by, from, next, renewedAt, to } of turns) {
          const since = by === "kill" ? "last renewal" : "SIGTERM"
          const span = next.startedAt - (by === "kill" ? renewedAt : at)
          yield* Console.log(`${to} after a ${by} of ${from}: works ${inMillis(span).toFixed(0)} ms after the ${since}`)
        }
      })
    )

    it.effect("after a kill the other kind waits for the lease to expire, and after a release for nothing", () =>
      Effect.gen(function* () {
        const { turns } = yield* Turns.Turns
        for (const { at, by, next, renewedAt, to } of turns) {
          const poll = to === "ours" ? 0n : longestPoll
          if (by === "release") assert.isTrue(next.startedAt < at + poll + slack)
          else {
            const expiresAt = renewedAt + seconds(Turns.timings.leaseDuration)
            // The Lease has its times in milliseconds when they are ours.
            assert.isTrue(next.startedAt > expiresAt - seconds(0.005))
            assert.isTrue(next.startedAt < expiresAt + 2n * poll + slack)
          }
        }
      })
    )

    it.effect(
      "no two have worked at once, and the version of the acquiring write is a token that both kinds grow",
      () =>
        Effect.gen(function* () {
          const { terms, turns, violations } = yield* Turns.Turns
          assert.deepStrictEqual(violations, [])
          assert.strictEqual(terms.length, turns.length + 1)
        })
    )

    it.effect("transitions grow by one with each holder, and by nothing else", () =>
      Effect.gen(function* () {
        const { turns, versions } = yield* Turns.Turns
        for (const [before, after] of pairsOf(versions)) {
          const grown = after.spec.leaseTransitions - before.spec.leaseTransitions
          assert.strictEqual(grown, isAcquisition(before, after) ? 1 : 0)
        }
        assert.strictEqual(versions[0]?.spec.leaseTransitions, 0)
        assert.strictEqual(versions.at(-1)?.spec.leaseTransitions, turns.length)
      })
    )

    it.effect("the times are those of the holder: acquired when its term began, renewed ever later", () =>
      Effect.gen(function* () {
        const { terms, versions } = yield* Turns.Turns
        for (const [before, after] of pairsOf(versions)) {
          if (before.spec.holderIdentity !== after.spec.holderIdentity) continue
          assert.strictEqual(after.spec.acquireTime, before.spec.acquireTime)
          // An edit by somebody else changes no time.
          assert.isTrue(after.spec.renewTime >= before.spec.renewTime)
        }
        const acquisitions = versions.filter((after, index) => isAcquisition(versions[index - 1], after))
        assert.strictEqual(acquisitions.length, terms.length)
        for (const { metadata, spec } of acquisitions) {
          const term = terms.find(({ token }) => token === BigInt(metadata.resourceVersion))
          assert.strictEqual(term?.identity, spec.holderIdentity)
          assert.isTrue(spec.renewTime >= spec.acquireTime)
          assert.strictEqual(spec.leaseDurationSeconds, Turns.timings.leaseDuration)
          const tookUntilWork = (term?.startedAt ?? 0n) - LeaseVersions.instantOf(spec.acquireTime)
          assert.isTrue(-seconds(0.005) < tookUntilWork && tookUntilWork < slack)
        }
      })
    )

    it.effect("both release in the same way: no holder, one second, the transitions kept", () =>
      Effect.gen(function* () {
        const { turns, versions } = yield* Turns.Turns
        const releases = versions.filter(({ spec }) => spec.holderIdentity === "")
        assert.deepStrictEqual(
          releases.map(({ spec }) => spec.leaseDurationSeconds),
          turns.filter(({ by }) => by === "release").map(() => 1)
        )
      })
    )

    it.effect("both keep what others have put on the Lease", () =>
      Effect.gen(function* () {
        const { versions } = yield* Turns.Turns
        const labelled = versions.slice(versions.findIndex(({ metadata }) => metadata.labels !== undefined))
        for (const { metadata } of labelled) assert.deepStrictEqual(metadata.labels, Turns.labels)
        const [contact = ""] = Object.keys(Turns.annotations)
        const annotated = labelled.slice(
          labelled.findIndex(({ metadata }) => metadata.annotations?.[contact] !== undefined)
        )
        for (const { metadata } of annotated) {
          assert.strictEqual(metadata.annotations?.[contact], Turns.annotations["example.com/contact"])
        }
        for (const ours of [true, false]) {
          assert.isTrue(labelled.some(({ spec }) => isOurs(spec.holderIdentity) === ours))
          assert.isTrue(
            annotated.some(({ spec }) => spec.holderIdentity !== "" && isOurs(spec.holderIdentity) === ours)
          )
        }
      })
    )

    it.effect("an incarnation that is left beside a holder of client-go's means nothing to ours", () =>
      Effect.gen(function* () {
        const { turns, versions } = yield* Turns.Turns
        const [, killed, next] = turns
        const left = versions.find(({ spec }) => spec.holderIdentity === killed?.former.identity)
        const beside = versions.filter(({ spec }) => spec.holderIdentity === killed?.next.identity)
        assert.isAbove(beside.length, 1)
        for (const { metadata } of beside) {
          assert.strictEqual(metadata.annotations?.[incarnation], left?.metadata.annotations?.[incarnation])
        }
        // It was followed as what it is, and taken over from when it expired.
        assert.strictEqual(next?.former.identity, killed?.next.identity)
        assert.strictEqual(next?.to, "ours")
      })
    )

    it.effect("ours have an incarnation, and take it away with the release", () =>
      Effect.gen(function* () {
        const { versions } = yield* Turns.Turns
        for (const [before, { metadata, spec }] of pairsOf(versions)) {
          const has = metadata.annotations?.[incarnation] !== undefined
          if (isOurs(spec.holderIdentity)) assert.isTrue(has)
          if (isOurs(before.spec.holderIdentity) && spec.holderIdentity === "") assert.isFalse(has)
        }
      })
    )
  }
)

const pairsOf = (versions: ReadonlyArray<LeaseVersions.Lease>) => Arr.zip(versions, versions.slice(1))

const isAcquisition = (before: LeaseVersions.Lease | undefined, { spec }: LeaseVersions.Lease) =>
  spec.holderIdentity !== "" && spec.holderIdentity !== before?.spec.holderIdentity
