/**
 * The decide room with one rule switched off, by a wrapper around its functions, and the bounded world in which the
 * explorer must find what breaks.
 */
import type { Moment } from "../../src/decide/Instant.ts"
import type { Action, Event, Role, State, Step } from "../../src/decide/State.ts"
import type { Settings } from "../../src/Settings.ts"
import { anyVersion } from "./Happening.ts"
import type { Fault } from "./Moves.ts"
import { product } from "./World.ts"
import type { Decide, Violation, World } from "./World.ts"

export interface Mutant {
  readonly rule: string
  readonly without: string
  readonly decide: Decide
  readonly faults: ReadonlyArray<Fault>
  /** How many faults the adversary needs. */
  readonly budget: number
  readonly breaks: Violation["invariant"]
  readonly entrants?: "Namesakes" | "ShortLease" | "SlowDrain" | "Alone" | "SameClocks"
  readonly always?: (decide: Decide) => (world: World) => Violation | undefined
}

type Transform = (context: {
  readonly settings: Settings
  readonly before: State
  readonly event: Event
  readonly now: Moment
  readonly step: Step
}) => Step

export const after = (transform: Transform): Decide => ({
  ...product,
  step: (settings, before, event, now) =>
    transform({ settings, before, event, now, step: product.step(settings, before, event, now) })
})

export const isHolder = (role: Role): role is Extract<Role, { readonly _tag: "Leading" | "Yielding" }> =>
  role._tag === "Leading" || role._tag === "Yielding"

export const againstAnything = (actions: ReadonlyArray<Action>) =>
  replaceWrites(actions, (write) => ({ ...write, expected: { ...write.expected, version: anyVersion } }))

const replaceWrites = (
  actions: ReadonlyArray<Action>,
  change: (write: Extract<Action, { readonly _tag: "Write" }>) => Action
) => actions.map((action) => (action._tag === "Write" ? change(action) : action))
