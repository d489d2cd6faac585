/**
 * Every rule of protocol.md, switched off one at a time. Each must be missed: a rule whose absence nothing notices would be
 * needless.
 */
import { Option } from "effect"
import { followerMutants } from "./FollowerMutants.ts"
import { holderMutants } from "./HolderMutants.ts"
import { after } from "./Mutant.ts"
import type { Mutant } from "./Mutant.ts"
import { product } from "./World.ts"

export type { Mutant } from "./Mutant.ts"

export const mutants: ReadonlyArray<Mutant> = [
  ...holderMutants,
  ...followerMutants,
  {
    rule: "the same identity twice",
    without: "a namesake's record is the own one",
    decide: {
      ...product,
      step: (settings, state, event, now) => product.step({ ...settings, incarnation: "one" }, state, event, now)
    },
    faults: [],
    budget: 0,
    breaks: "I1",
    entrants: "Namesakes"
  },
  {
    rule: "fencing",
    without: "the token is the count of transitions",
    decide: after(({ step: [state, actions] }) => [
      state,
      actions.map((action) =>
        action._tag === "BeginTerm" && state.seen !== undefined
          ? { ...action, token: BigInt(Option.getOrThrow(state.seen.observation.record).transitions) + 1n }
          : action
      )
    ]),
    faults: ["Delete"],
    budget: 1,
    breaks: "I2"
  }
]
