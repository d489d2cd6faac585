/**
 * A history as a person reads it: who worked, what went wrong, in one order of time.
 */
import type { Carried } from "../../src/chaos/Chaos.ts"
import * as Plan from "../../src/chaos/Plan.ts"
import { by, inMillis, type Term, termsOf } from "../../src/History.ts"
import { type Entry, isWork } from "../../src/Journal.ts"

/** The longest time in which nobody worked. */
export const longestGap = (terms: ReadonlyArray<Term>): bigint => {
  let longest = 0n
  let coveredUntil = terms[0]?.startedAt ?? 0n
  for (const { startedAt, workedUntil } of terms) {
    if (startedAt - coveredUntil > longest) longest = startedAt - coveredUntil
    if (workedUntil > coveredUntil) coveredUntil = workedUntil
  }
  return longest
}

const shown = 40_000_000_000n

/** The last part of it: a violation is looked for after every step. */
export const timelineOf = (entries: ReadonlyArray<Entry>, faults: ReadonlyArray<Carried>): string => {
  const from = (entries.at(-1)?.at ?? 0n) - shown
  const lines = [
    ...entries
      .filter((entry) => entry.event !== "Tick")
      .map((entry) => ({
        at: entry.at,
        text: `${entry.identity} (pid ${entry.pid}) ${entry.event}${isWork(entry) ? ` token ${entry.token}` : ""}${"leader" in entry ? ` behind ${entry.leader}` : ""}`
      })),
    ...termsOf(entries).flatMap(({ identity, ticks, token }) =>
      ticks.slice(-1).map((at) => ({ at, text: `${identity} last tick of token ${token}` }))
    ),
    ...faults.flatMap(({ fault, from, until, user }) => [
      { at: from, text: `>>> ${user ?? "control plane"}: ${Plan.describe(fault)}` },
      { at: until, text: `<<< ${user ?? "control plane"}: ${Plan.kindOf(fault)}` }
    ])
  ]
  return lines
    .filter(({ at }) => at >= from)
    .toSorted(by(({ at }) => at))
    .map(
      ({ at, text }) =>
        `${inMillis(at - from)
          .toFixed(0)
          .padStart(6)} ms  ${text}`
    )
    .join("\n")
}
