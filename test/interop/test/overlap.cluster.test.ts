/**
 * For how long two leaders work at once when a leader's process stops for a while, and when its connection fails after a
 * late answer: client-go's candidates, ours, and both kinds mixed, side by side in one run. That client-go's overlap is
 * what protocol.md and docs/client-go.md say; a version of it that does not is good news, and a reason to change them.
 */
import { inMillis } from "@effect-leader/test-end-to-end/src/History.ts"
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ClientGo } from "../src/ClientGo.ts"
import * as Faults from "../src/Faults.ts"
import * as Stage from "../src/Stage.ts"

const short = { leaseDuration: 5, renewDeadline: 4, retryPeriod: 1 }
const usual = { leaseDuration: 15, renewDeadline: 10, retryPeriod: 2 }

interface Row extends Faults.Scene {
  readonly fault: string
  /** Who the leader is, more exactly. */
  readonly as?: string
  readonly play: typeof Faults.frozen | typeof Faults.lateAnswer
}

const stopped = { fault: "process stopped, continued after the takeover, 5/4/1 s", timings: short, play: Faults.frozen }
const late = { fault: "a PUT answered 4.9 s late, then cut off, 15/10/2 s", timings: usual, play: Faults.lateAnswer }
// As resourcelock.NewFromKubeconfig makes its client; on a busy machine 4.9 s may be too late for that.
const withTimeout = {
  fault: "a PUT answered 4.5 s late, then cut off, 15/10/2 s",
  as: "client-go, requests of 5 s at most",
  requestTimeout: 5,
  lateBy: 4.5
}

const rows: ReadonlyArray<Row> = [
  { ...stopped, leader: "client-go", followers: "client-go" },
  { ...stopped, leader: "client-go", followers: "ours" },
  { ...stopped, leader: "ours", followers: "ours" },
  { ...stopped, leader: "ours", followers: "client-go" },
  { ...late, leader: "client-go", followers: "client-go" },
  { ...late, leader: "client-go", followers: "ours" },
  { ...late, leader: "client-go", followers: "ours", ...withTimeout },
  { ...late, leader: "ours", followers: "ours" },
  { ...late, leader: "ours", followers: "client-go" }
]

layer(Stage.layer, { concurrent: true, excludeTestServices: true, timeout: "15 minutes" })(
  "two leaders at once",
  (it) => {
    it.effect("leaders of client-go overlap with any other for seconds, and ours with none", () =>
      Effect.gen(function* () {
        const { version } = yield* ClientGo
        const outcomes = yield* Effect.forEach(
          rows,
          (row) => Effect.map(row.play(row), (outcome) => ({ ...row, ...outcome })),
          { concurrency: "unbounded" }
        )
        yield* Console.log(table(version, outcomes))

        for (const { as, fault, followers, leader, overlap, overlapByOurs, violations } of outcomes) {
          const scene = `${fault}, led by ${as ?? leader}, followed by ${followers}`
          assert.strictEqual(overlapByOurs, 0n, scene)
          if (leader === "ours") {
            assert.strictEqual(overlap, 0n, scene)
            assert.deepStrictEqual(violations, [], scene)
          } else {
            assert.isAbove(
              inMillis(overlap),
              1000,
              `${scene}: client-go ${version} overlaps less than 0.36.3 did. If that is so for good, the tables in ` +
                "docs/client-go.md and docs/safety.md are to be measured again"
            )
          }
        }
      })
    )

    it.effect("when client-go gives back a Lease that is ours by now, our next leader waits for our work to end", () =>
      Effect.gen(function* () {
        const { overlapByOurs } = yield* Faults.lateRelease({
          timings: short,
          leader: "client-go",
          followers: "ours",
          finalizer: 300
        })
        yield* Console.log(`client-go gave back our Lease: two of ours worked for ${seconds(overlapByOurs)}`)
        assert.strictEqual(overlapByOurs, 0n)
      })
    )
  }
)

const table = (version: string, outcomes: ReadonlyArray<Row & Faults.Outcome>) =>
  [
    `client-go ${version} and this project, each fault once, three candidates:`,
    "| fault | the leader that fails | takes over | after the last renewal | both work for |",
    "|---|---|---|---|---|",
    ...outcomes.map(
      ({ as, fault, followers, leader, overlap, takeover }) =>
        `| ${fault} | ${as ?? leader} | ${followers} | ${seconds(takeover)} | ${seconds(overlap)} |`
    )
  ].join("\n")

const seconds = (nanos: bigint) => `${(inMillis(nanos) / 1000).toFixed(2)} s`
