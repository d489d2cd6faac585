/**
 * Records and faults as the tests of the rules write them: what others left in the lock, and what they do to requests.
 */
import { DateTime, Duration, Effect, Option, Random } from "effect"
import { LeaseLock } from "../src/index.ts"
import type { Script } from "./ScriptedLock.ts"

/** Held by somebody else. */
export const held = (
  options: {
    readonly holder?: string
    readonly lease?: Duration.Input
    readonly renewedAt?: number
    readonly incarnation?: string
  } = {}
): LeaseLock.LeaseRecord => ({
  holder: Option.some(options.holder ?? "other"),
  ...(options.incarnation === undefined ? {} : { incarnation: options.incarnation }),
  leaseDuration: Duration.fromInputUnsafe(options.lease ?? "15 seconds"),
  acquiredAt: DateTime.makeUnsafe(0),
  renewedAt: DateTime.makeUnsafe(options.renewedAt ?? 0),
  transitions: 7
})

/** Given back by somebody else. */
export const released = (
  options: { readonly holder?: Option.Option<string>; readonly at?: number } = {}
): LeaseLock.LeaseRecord => ({
  holder: options.holder ?? Option.none(),
  leaseDuration: Duration.seconds(1),
  acquiredAt: DateTime.makeUnsafe(options.at ?? 0),
  renewedAt: DateTime.makeUnsafe(options.at ?? 0),
  transitions: 7
})

export const holderOf = (script: Script): string | undefined =>
  Option.getOrUndefined(Option.flatMap(script.current().record, (record) => record.holder))

/** The requests of one candidate. */
export const of = (script: Script, kind: "read" | "write", by: string) =>
  script.requests.filter((request) => request.kind === kind && request.by === by)

export const unavailable = (options: ConstructorParameters<typeof LeaseLock.Unavailable>[0] = {}) =>
  ({ _tag: "Fail", reason: new LeaseLock.Unavailable(options) }) as const

export const conflict = { _tag: "Fail", reason: new LeaseLock.Conflict({}) } as const

/** Every draw is the same share of what it is drawn from, so that jitter and spread can be told exactly. */
export const withChance = (chance: number) =>
  Effect.provideService(Random.Random, {
    nextIntUnsafe: () => Math.floor(chance * 2 ** 32),
    nextDoubleUnsafe: () => chance
  })
