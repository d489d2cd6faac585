/**
 * What tests of programs on the cluster do again and again.
 */
import { Cluster } from "@effect-leader/test-cluster/Cluster"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { fileURLToPath } from "node:url"

export const example = (name: string): string => fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url))

/** Again and again, failures included; the test's timeout ends it. */
export const until = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean
): Effect.Effect<A, never, R> =>
  effect.pipe(
    Effect.filterOrFail(holds, () => "not yet" as const),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.orDie
  )

/** Who holds the Lease; empty if nobody does. */
export const holder = (lease: string) =>
  Effect.flatMap(Cluster, ({ kubectl }) => kubectl(["get", "lease", lease, "--output=jsonpath={.spec.holderIdentity}"]))

export const podsOf = (app: string) =>
  Effect.flatMap(Cluster, ({ kubectl }) =>
    kubectl(["get", "pods", `--selector=app=${app}`, "--output=jsonpath={.items[*].metadata.name}"])
  ).pipe(Effect.map((text) => text.split(" ").filter((name) => name !== "")))

/** What a program may do, by what the API server refused it: the lines of its log that say so. */
export const forbidden = (pods: ReadonlyArray<string>) =>
  Effect.flatMap(Cluster, ({ logs }) =>
    Effect.forEach(pods, (pod) => logs(pod)).pipe(
      Effect.map((all) =>
        all.flatMap((log) =>
          log._tag === "Some" ? log.value.split("\n").filter((line) => /forbidden/i.test(line)) : []
        )
      )
    )
  )
