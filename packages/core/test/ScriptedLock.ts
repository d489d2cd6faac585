/**
 * A lock in virtual memory whose every fault a test decides: latency, lost requests, answers lost after the write
 * happened, a watch that is silent or ends, edits and deletions by third parties.
 */
import type { Cause } from "effect"
import { Context, Duration, Effect, Layer, Option, PubSub, Queue, Stream } from "effect"
import { LeaseLock } from "../src/index.ts"

export type Fault =
  /** The request never arrives. */
  | { readonly _tag: "Lost" }
  /** The request is carried out, the answer never comes. */
  | { readonly _tag: "AnswerLost" }
  /** The request is carried out at once, the answer comes after so long. */
  | { readonly _tag: "AnswerLate"; readonly by: Duration.Input }
  | { readonly _tag: "Fail"; readonly reason: LeaseLock.LockError["reason"] }
  | { readonly _tag: "Die"; readonly defect: unknown }

export interface Request {
  readonly kind: "read" | "write"
  readonly by: string
  readonly at: number
}

export interface Script {
  readonly current: () => LeaseLock.Observation
  readonly requests: Array<Request>
  readonly watches: Array<string>
  /** What happens to the requests of a kind from now on, in order; the last one stays when `forever`. */
  readonly fault: (kind: "read" | "write", fault: Fault, times?: number) => void
  readonly heal: () => void
  readonly setLatency: (latency: Duration.Input) => void
  /** A third party's write. */
  readonly put: (record: LeaseLock.LeaseRecord) => Effect.Effect<void>
  /** A third party's edit of something that is not the record, such as a label. */
  readonly touch: Effect.Effect<void>
  readonly remove: Effect.Effect<void>
  /** Deleted and made again with the same content. */
  readonly replace: Effect.Effect<void>
  readonly watch: (mode: "Live" | "Silent") => void
  /** Delivers one notice to every watch, whatever it says. */
  readonly notify: (observation: LeaseLock.Observation) => Effect.Effect<void>
  readonly endWatches: (reason?: LeaseLock.LockError["reason"]) => Effect.Effect<void>
}

export class ScriptedLock extends Context.Service<ScriptedLock, Script>()("test/ScriptedLock") {
  /** The lock as one candidate sees it, so that requests are counted by who sent them. */
  static readonly lockOf = (by: string): Layer.Layer<LeaseLock.LeaseLock, never, ScriptedLock> =>
    Layer.effect(
      LeaseLock.LeaseLock,
      Effect.map(ScriptedLock, (script) => (script as ScriptWithLock).lockOf(by))
    )

  static readonly layer: Layer.Layer<ScriptedLock> = Layer.effect(
    ScriptedLock,
    Effect.suspend(() => make)
  )
}

interface ScriptWithLock extends Script {
  readonly lockOf: (by: string) => typeof LeaseLock.LeaseLock.Service
}

type Signal = { readonly _tag: "Told"; readonly observation: LeaseLock.Observation } | Ended
interface Ended {
  readonly _tag: "Ended"
  readonly reason: LeaseLock.LockError["reason"] | undefined
}

const name = "test/lock"

const fail = (reason: LeaseLock.LockError["reason"]) => Effect.fail(new LeaseLock.LockError({ lock: name, reason }))

const make: Effect.Effect<ScriptWithLock> = Effect.gen(function* () {
  const signals = yield* PubSub.unbounded<Signal>()
  const faults: Record<"read" | "write", Array<{ fault: Fault; times: number }>> = { read: [], write: [] }
  const requests: Array<Request> = []
  const watches: Array<string> = []
  let latency = Duration.zero
  let isSilent = false
  let lives = 1
  let current: LeaseLock.Observation = { record: Option.none(), version: "0", fence: 0n }

  const change = (record: Option.Option<LeaseLock.LeaseRecord>) =>
    Effect.suspend(() => {
      const fence = current.fence + 1n
      const uid = Option.isSome(record) ? { uid: `life-${lives}` } : {}
      current = { record, version: String(fence), fence, ...uid }
      const observation = current
      return isSilent ? Effect.succeed(observation) : Effect.as(tell(observation), observation)
    })
  const tell = (observation: LeaseLock.Observation) =>
    Effect.asVoid(PubSub.publish(signals, { _tag: "Told", observation }))

  const carryOut = (
    kind: "read" | "write",
    by: string,
    effect: Effect.Effect<LeaseLock.Observation, LeaseLock.LockError>
  ) =>
    Effect.gen(function* () {
      const at = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      requests.push({ kind, by, at })
      const planned = faults[kind][0]
      if (planned !== undefined && --planned.times <= 0) faults[kind].shift()
      yield* Effect.sleep(Duration.times(latency, 0.5))
      switch (planned?.fault._tag) {
        case undefined: {
          const result = yield* effect
          yield* Effect.sleep(Duration.times(latency, 0.5))
          return result
        }
        case "Lost":
          return yield* Effect.never
        case "AnswerLost":
          yield* effect
          return yield* Effect.never
        case "AnswerLate": {
          const result = yield* effect
          yield* Effect.sleep(planned?.fault.by ?? 0)
          return result
        }
        case "Fail":
          return yield* fail(planned.fault.reason)
        case "Die":
          return yield* Effect.die(planned.fault.defect)
      }
    })

  const lockOf = (by: string): typeof LeaseLock.LeaseLock.Service => ({
    name,
    read: carryOut(
      "read",
      by,
      Effect.sync(() => current)
    ),
    write: (expected, next) =>
      carryOut(
        "write",
        by,
        Effect.suspend(() =>
          expected.version === current.version ? change(Option.some(next)) : fail(new LeaseLock.Conflict({}))
        )
      ),
    changes: (after) =>
      Stream.unwrap(
        Effect.gen(function* () {
          watches.push(by)
          const subscription = yield* PubSub.subscribe(signals)
          const queue = yield* Queue.unbounded<LeaseLock.Observation, LeaseLock.LockError | Cause.Done>()
          if (!isSilent && current.fence > after.fence) yield* Queue.offer(queue, current)
          yield* Effect.forkScoped(
            Effect.forever(
              Effect.flatMap(PubSub.take(subscription), (signal) => {
                if (signal._tag === "Told") return Queue.offer(queue, signal.observation)
                return signal.reason === undefined
                  ? Queue.end(queue)
                  : Queue.fail(queue, new LeaseLock.LockError({ lock: name, reason: signal.reason }))
              })
            )
          )
          return Stream.fromQueue(queue)
        })
      )
  })

  return {
    lockOf,
    current: () => current,
    requests,
    watches,
    fault: (kind, fault, times = 1) => {
      faults[kind].push({ fault, times })
    },
    heal: () => {
      faults.read.length = 0
      faults.write.length = 0
    },
    setLatency: (input) => {
      latency = Duration.fromInputUnsafe(input)
    },
    put: (record) => Effect.asVoid(change(Option.some(record))),
    touch: Effect.suspend(() => Effect.asVoid(change(current.record))),
    remove: Effect.suspend(() => Effect.asVoid(change(Option.none()))),
    replace: Effect.suspend(() => {
      lives += 1
      return Effect.asVoid(change(current.record))
    }),
    watch: (mode) => {
      isSilent = mode === "Silent"
    },
    notify: tell,
    endWatches: (reason) => Effect.asVoid(PubSub.publish(signals, { _tag: "Ended", reason }))
  }
})
