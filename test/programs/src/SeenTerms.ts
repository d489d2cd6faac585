/**
 * The terms of an election as the candidates themselves tell them, on their status pages: from the first to the last moment
 * that one said it led. The candidates are processes of this machine, so their clock is one.
 */
import * as Pods from "@effect-leader-examples/leader-follower-store/test/Pods.ts"
import { LeaderStatus } from "@effect-leader/http"
import { assert } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

interface Term {
  readonly identity: string
  readonly token: bigint
  readonly from: number
  readonly to: number
}

export interface SeenTerms {
  /** Fails if two of them overlap. Returns how many there were. */
  readonly check: Effect.Effect<number>
}

/** Asks the pods again and again, as long as the scope is open. */
export const follow = Effect.fnUntraced(function* (pods: () => ReadonlyArray<Pods.Place>) {
  const seen = new Map<string, Term>()
  const look = Effect.fnUntraced(function* (pod: Pods.Place) {
    const { json } = yield* Pods.ask(pod, "/", { headers: { accept: "application/json" } })
    const { identity, now, role, token } = yield* decode(json)
    if (role !== "Leading" || token === undefined) return
    const to = DateTime.toEpochMillis(now)
    const from = seen.get(`${identity} ${token}`)?.from ?? to
    seen.set(`${identity} ${token}`, { identity, token, from, to })
  })
  // A pod that goes just now answers nothing.
  const lookAtAll = Effect.suspend(() =>
    Effect.forEach(pods(), (pod) => Effect.ignore(Effect.timeout(look(pod), "1 second")), {
      concurrency: "unbounded",
      discard: true
    })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.delay(lookAtAll, "10 millis")))
  const terms: SeenTerms = {
    check: Effect.sync(() => {
      const all = [...seen.values()].toSorted((one, other) => one.from - other.from)
      for (const [index, term] of all.entries()) {
        const next = all[index + 1]
        if (next === undefined) continue
        assert.isBelow(term.to, next.from, `${describe(term)} led while ${describe(next)} did`)
        assert.isBelow(Number(term.token), Number(next.token), `${describe(term)} led before ${describe(next)}`)
      }
      return all.length
    })
  }
  return terms
})

const describe = ({ identity, token }: Term) => `${identity} with token ${token}`

const decode = Schema.decodeUnknownEffect(LeaderStatus.Status)
