/**
 * The last terms of an election, as one candidate saw them: its own from beginning to end, and those of others while it
 * followed them.
 */
import type { LeaderElection } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

export interface Entry {
  readonly leader: LeaderElection.Leader
  /** Of an own term. */
  readonly token?: bigint
  /** When it was over, or seen to be; absent while it lasts. */
  readonly until?: DateTime.Utc
  /** Why an own term ended. */
  readonly end?: LeaderElection.TermEnd
}

/** Newest first. */
export type TermLog = ReadonlyArray<Entry>

export const longest = 20

/** The log after a look at the leadership, and at who leads if it is this candidate. */
export const next = (
  log: TermLog,
  leadership: LeaderElection.Leadership,
  own: Option.Option<LeaderElection.Leader>,
  identity: string,
  now: DateTime.Utc
): TermLog => {
  switch (leadership._tag) {
    case "Leading":
    case "Draining": {
      const { since, token } = leadership.term
      const known = log.find((entry) => entry.token === token)?.leader
      const leader = known ?? { ...Option.getOrElse(own, () => ({ identity })), since }
      return put(log, { leader, token, ...(leadership._tag === "Draining" ? { end: leadership.end } : {}) }, now)
    }
    case "Standby":
      return Option.match(leadership.leader, {
        onNone: () => close(log, now),
        onSome: (leader) => put(log, { leader }, now)
      })
    case "Stopped":
      return close(log, now)
  }
}

/** The same term again is the one entry, also when it was thought to be over: a leader that was not heard of for a while. */
const put = (log: TermLog, entry: Entry, now: DateTime.Utc): TermLog => {
  const [newest, ...older] = log
  return newest !== undefined && isSameTerm(newest, entry)
    ? [entry, ...older]
    : [entry, ...close(log, now)].slice(0, longest)
}

const isSameTerm = (a: Entry, b: Entry): boolean =>
  a.token === b.token &&
  a.leader.identity === b.leader.identity &&
  DateTime.toEpochMillis(a.leader.since) === DateTime.toEpochMillis(b.leader.since)

const close = ([newest, ...older]: TermLog, now: DateTime.Utc): TermLog =>
  newest === undefined ? [] : [newest.until === undefined ? { ...newest, until: now } : newest, ...older]
