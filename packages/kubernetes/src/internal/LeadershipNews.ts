/**
 * What is worth telling about a change of leadership, and in which words. The first words are client-go's ("NAME became
 * leader", "NAME stopped leading"), so that whoever looks for them finds them.
 */
import type { LeaderElection } from "@effect-leader/core"

export type News =
  | { readonly _tag: "Began"; readonly token: bigint }
  /** Work has outlived the lease. */
  | { readonly _tag: "Overran"; readonly token: bigint }
  /** The work has ended too. `Failed`: the election itself came to an end that it should not have. */
  | {
      readonly _tag: "Ended"
      readonly token: bigint
      readonly end: LeaderElection.TermEnd | "Failed"
      readonly overrun: boolean
    }

type Leadership = LeaderElection.Leadership

/** The news of a candidate that was `former` and is `next`. */
export const between = (former: Leadership, next: Leadership): ReadonlyArray<News> => {
  const [before, now] = [tokenOf(former), tokenOf(next)]
  return [
    ...(before !== undefined && before !== now ? [endOf(former, before)] : []),
    ...(now !== undefined && now !== before && next._tag === "Leading" ? [{ _tag: "Began", token: now } as const] : []),
    ...(now !== undefined && isOverrun(next) && !isOverrun(former) ? [{ _tag: "Overran", token: now } as const] : [])
  ]
}

const tokenOf = (leadership: Leadership): bigint | undefined =>
  "term" in leadership ? leadership.term.token : undefined

const isOverrun = (leadership: Leadership): boolean => leadership._tag === "Draining" && leadership.overrun

const endOf = (former: Leadership, token: bigint): News => ({
  _tag: "Ended",
  token,
  end: former._tag === "Draining" ? former.end : "Failed",
  overrun: isOverrun(former)
})

export interface Words {
  readonly type: "Normal" | "Warning"
  /** What happened, in one word for machines. */
  readonly action: string
  readonly message: string
}

export const say = (identity: string, news: News): Words => {
  switch (news._tag) {
    case "Began":
      return { type: "Normal", action: "BecameLeader", message: `${identity} became leader (token ${news.token})` }
    case "Overran":
      return {
        type: "Warning",
        action: "OverranLease",
        message:
          `${identity} has work that outlived its lease (token ${news.token}): ` +
          `another candidate may lead while it still runs`
      }
    case "Ended": {
      const overrun = news.overrun ? ", and work outlived the lease" : ""
      return {
        type: news.overrun || !isOrderly(news.end) ? "Warning" : "Normal",
        action: "StoppedLeading",
        message: `${identity} stopped leading (token ${news.token}): ${news.end}, ${why(news.end)}${overrun}`
      }
    }
  }
}

type End = Extract<News, { readonly _tag: "Ended" }>["end"]

const isOrderly = (end: End): boolean => end === "Resigned" || end === "Shutdown"

const why = (end: End): string => {
  switch (end) {
    case "Expired":
      return "no renewal succeeded before the renew deadline"
    case "Superseded":
      return "another candidate has the lock"
    case "LockDeleted":
      return "somebody deleted the lock"
    case "Resigned":
      return "to let another candidate lead"
    case "Shutdown":
      return "the program ends"
    case "Failed":
      return "the election came to an unexpected end (see the log)"
  }
}
