/**
 * What goes wrong in a random run, as data: a seed says all of it before anything happens, but for who leads then.
 */
import { FaultProxy } from "@effect-leader/testkit"
import { type User, users } from "../ApiServer.ts"
import * as Chance from "./Chance.ts"

/** Whoever leads when the fault begins, or one replica in particular. */
export type Target = "leader" | User

export type Fault =
  | { readonly _tag: "Network"; readonly name: string; readonly target: Target; readonly rule: FaultProxy.Rule }
  | { readonly _tag: "Kill" | "Freeze" | "Terminate"; readonly target: Target }
  /** The signal comes while a PUT is under way whose answer is that many milliseconds late. */
  | { readonly _tag: "KillInPut" | "TerminateInPut"; readonly target: Target; readonly late: number }
  | { readonly _tag: "KillApiServer" | "KillEtcd" | "FreezeApiServer" | "FreezeEtcd" | "FreezeBoth" }

/** In milliseconds from the beginning of the step. */
export interface Planned {
  readonly fault: Fault
  readonly begins: number
  readonly lasts: number
}

/** Some quiet, then faults that may overlap, then quiet again. */
export interface Step {
  readonly quiet: number
  readonly faults: ReadonlyArray<Planned>
  /** Whether the next step waits until all is calm, or only until somebody leads. */
  readonly untilCalm: boolean
}

/** Without an end. */
export function* steps(seed: number): Generator<Step, never> {
  const chance = Chance.make(seed)
  for (;;) yield stepOf(chance)
}

const stepOf = (chance: Chance.Chance): Step => {
  // At most one of each kind that there is only one of: a process, the control plane.
  const faults = [
    ...(chance.happens(0.85) ? [networkFault(chance)] : []),
    ...(chance.happens(0.45) ? [networkFault(chance)] : []),
    ...(chance.happens(0.5) ? [processFault(chance)] : []),
    ...(chance.happens(0.2) ? [serverFault(chance)] : [])
  ]
  return {
    quiet: chance.between(0, 800),
    faults: faults.map((fault) => ({ fault, begins: chance.between(0, 1000), lasts: lastingOf(fault, chance) })),
    untilCalm: chance.happens(0.5)
  }
}

const lastingOf = ({ _tag }: Fault, chance: Chance.Chance): number =>
  _tag === "KillApiServer" || _tag === "KillEtcd" ? chance.between(0, 3000) : chance.between(100, 6500)

/** Leaders have more to lose. */
const targetOf = (chance: Chance.Chance): Target => (chance.happens(0.7) ? "leader" : chance.oneOf(users))

const processFault = (chance: Chance.Chance): Fault => {
  const _tag = chance.oneOf(["Kill", "Freeze", "Freeze", "Terminate", "KillInPut", "TerminateInPut"] as const)
  const target = targetOf(chance)
  return _tag === "KillInPut" || _tag === "TerminateInPut"
    ? { _tag, target, late: chance.between(50, 2500) }
    : { _tag, target }
}

const serverFault = (chance: Chance.Chance): Fault => ({
  _tag: chance.oneOf(["KillApiServer", "KillEtcd", "FreezeApiServer", "FreezeEtcd", "FreezeBoth"] as const)
})

const networkFault = (chance: Chance.Chance): Fault => {
  const name = chance.oneOf(networkFaults)
  return { _tag: "Network", name, target: targetOf(chance), rule: ruleOf(name, chance) }
}

const networkFaults = [
  "DelayRequest",
  "DelayAnswer",
  "Hold",
  "BlackHole",
  "Reset",
  "HalfAnAnswer",
  "Trickle",
  "TooManyRequests",
  "ServerError",
  "Html",
  "SilentWatch",
  "WatchReset",
  "LateWatch",
  "Partition",
  "ResetConnections",
  "ExpiredCertificate"
] as const

const ruleOf = (name: (typeof networkFaults)[number], chance: Chance.Chance): FaultProxy.Rule => {
  const on = chance.oneOf<FaultProxy.Match>([
    {},
    { watch: false },
    { watch: false },
    { method: "PUT" },
    { method: "PUT" },
    { method: "GET" },
    { method: "PUT", times: 1 },
    { method: "PUT", times: 3 },
    { method: "PUT", nth: 2 }
  ])
  const watches = { watch: true }
  const carriedOut = chance.happens(0.5)
  switch (name) {
    case "DelayRequest":
      return { on, fault: FaultProxy.delayRequest(chance.between(10, 5000)) }
    case "DelayAnswer":
      return { on, fault: FaultProxy.delayAnswer(chance.between(10, 5000)) }
    case "Hold":
      return { on, fault: FaultProxy.hold }
    case "BlackHole":
      return { on, fault: FaultProxy.blackHole({ carriedOut }) }
    case "Reset":
      return { on, fault: FaultProxy.reset({ carriedOut }) }
    case "HalfAnAnswer":
      return { on, fault: FaultProxy.reset({ afterBytes: chance.between(1, 400) }) }
    case "Trickle":
      return { on, fault: FaultProxy.trickle(chance.between(5, 200), chance.between(5, 100)) }
    case "TooManyRequests":
      return { on, fault: FaultProxy.tooManyRequests(chance.between(0, 10)) }
    case "ServerError":
      return { on, fault: FaultProxy.serverError({ carriedOut }) }
    case "Html":
      return { on, fault: FaultProxy.html }
    case "SilentWatch":
      return { on: watches, fault: FaultProxy.silentWatch }
    case "WatchReset":
      return { on: watches, fault: FaultProxy.reset({ carriedOut }) }
    case "LateWatch":
      return { on: watches, fault: FaultProxy.delayAnswer(chance.between(10, 3000)) }
    case "Partition":
      return { fault: FaultProxy.partition }
    case "ResetConnections":
      return { fault: FaultProxy.resetConnections }
    case "ExpiredCertificate":
      return { fault: FaultProxy.expiredCertificate }
  }
}

/** For counting. */
export const kindOf = (fault: Fault): string => (fault._tag === "Network" ? fault.name : fault._tag)

/** For people. */
export const describe = ({ _tag, ...rest }: Fault): string =>
  `${_tag} ${JSON.stringify(rest, (_, value: unknown) => (value instanceof RegExp ? String(value) : value))}`
