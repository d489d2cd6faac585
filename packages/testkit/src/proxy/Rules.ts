/**
 * The rules that are in force: which of them decides about a request, how often each was hit, and the end of each.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ConnectionFault, Match, RequestFault, Rule } from "./Fault.ts"

/** What a rule is matched with. */
export interface Target {
  readonly method: string
  /** The path with its query. */
  readonly path: string
  readonly isWatch: boolean
}

/** A rule for requests, in force until it is healed. */
export interface Active {
  readonly fault: RequestFault
  readonly on: Match
  /** Whether the rule is about the target, which then is a hit. */
  readonly claims: (target: Target) => boolean
  readonly isHealed: () => boolean
  readonly healed: Effect.Effect<void>
}

/** For whoever set a rule. */
export interface Handle {
  readonly hits: () => number
  readonly firstHit: Effect.Effect<void>
  readonly heal: () => void
}

export interface Rules {
  readonly set: (rule: Rule) => Handle
  readonly healAll: () => void
  /** The rule that decides about a request which has just come. */
  readonly decide: (target: Target) => Active | undefined
}

export interface Listener {
  /** For requests that are under way when a rule is set. */
  readonly onRequestRule: (active: Active) => void
  /** The faults of connections that are in force now. */
  readonly onConnectionFaults: (faults: ReadonlySet<ConnectionFault["_tag"]>) => void
}

export const make = (listener: Listener): Rules => {
  const requestRules = new Set<Active>()
  const connectionFaults = new Set<ConnectionFault>()
  const heals = new Set<() => void>()

  const tellConnectionFaults = () => listener.onConnectionFaults(new Set([...connectionFaults].map(({ _tag }) => _tag)))

  const setConnectionFault = ({ ...fault }: ConnectionFault): Handle => {
    connectionFaults.add(fault)
    tellConnectionFaults()
    return {
      hits: () => 1,
      firstHit: Effect.void,
      heal: once(() => {
        connectionFaults.delete(fault)
        tellConnectionFaults()
      })
    }
  }

  const setRequestRule = (on: Match, fault: RequestFault): Handle => {
    const isHit = counter(on)
    const firstHit = Deferred.makeUnsafe<void>()
    const healed = Deferred.makeUnsafe<void>()
    let hits = 0
    const active: Active = {
      fault,
      on,
      claims: (target) => {
        if (!matches(on, target) || !isHit()) return false
        hits++
        Deferred.doneUnsafe(firstHit, Effect.void)
        return true
      },
      isHealed: () => !requestRules.has(active),
      healed: Deferred.await(healed)
    }
    requestRules.add(active)
    listener.onRequestRule(active)
    return {
      hits: () => hits,
      firstHit: Deferred.await(firstHit),
      heal: once(() => {
        requestRules.delete(active)
        Deferred.doneUnsafe(healed, Effect.void)
      })
    }
  }

  const once = (end: () => void): (() => void) => {
    const heal = () => {
      if (heals.delete(heal)) end()
    }
    heals.add(heal)
    return heal
  }

  return {
    set: ({ fault, on = {} }) => (isConnectionFault(fault) ? setConnectionFault(fault) : setRequestRule(on, fault)),
    healAll: () => {
      for (const heal of heals) heal()
    },
    decide: (target) => [...requestRules].find(({ claims }) => claims(target))
  }
}

/** Called for each request that matches the rest: says whether it is one of those that are hit. */
const counter = ({ nth, times }: Match): (() => boolean) => {
  const first = nth ?? 1
  const end = first + (times ?? (nth === undefined ? Infinity : 1))
  let count = 0
  return () => ++count >= first && count < end
}

const matches = ({ method, path, watch }: Match, target: Target): boolean =>
  (method === undefined || [method].flat().includes(target.method)) &&
  (watch === undefined || watch === target.isWatch) &&
  (path === undefined || (typeof path === "string" ? target.path.includes(path) : target.path.search(path) >= 0))

const isConnectionFault = (fault: ConnectionFault | RequestFault): fault is ConnectionFault =>
  fault._tag === "Partition" || fault._tag === "ResetConnections" || fault._tag === "ExpiredCertificate"
