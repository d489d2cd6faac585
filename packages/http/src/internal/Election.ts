/**
 * Which election a layer is about: a class that `LeaderElection.Service` made, whatever its id.
 */
import type { LeaderElection, Term } from "@effect-leader/core"
import type * as Context from "effect/Context"

export type ElectionClass<Self> = Context.Service<Self, LeaderElection.Election<Self>> & {
  readonly Term: Context.Service<Term.Term<Self>, Term.TermShape>
}
