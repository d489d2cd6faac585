/**
 * Rules of a Role, as few as say the same, in an order that does not depend on who asked for them first.
 */
import type { Rule, Verb } from "../Rbac.ts"

/** Two rules become one where they differ in one thing only. */
export const merge = (rules: ReadonlyArray<Rule>): ReadonlyArray<Rule> =>
  joined(joined(joined(rules.map(canonical), verbs), resourceNames), resources).toSorted((a, b) =>
    compare(sortKey(a), sortKey(b))
  )

interface Part {
  /** What must be equal for the rules to become one. */
  readonly rest: (rule: Rule) => unknown
  readonly join: (a: Rule, b: Rule) => Rule
}

const verbs: Part = {
  rest: ({ apiGroups, resourceNames = null, resources }) => [apiGroups, resources, resourceNames],
  join: (a, b) => ({ ...a, verbs: [...a.verbs, ...b.verbs] })
}

const resourceNames: Part = {
  // A rule without names is for all: it does not mix with one that has them.
  rest: ({ apiGroups, resourceNames, resources, verbs }) => [apiGroups, resources, verbs, resourceNames === undefined],
  join: (a, b) =>
    a.resourceNames === undefined ? a : { ...a, resourceNames: [...a.resourceNames, ...(b.resourceNames ?? [])] }
}

const resources: Part = {
  rest: ({ apiGroups, resourceNames = null, verbs }) => [apiGroups, resourceNames, verbs],
  join: (a, b) => ({ ...a, resources: [...a.resources, ...b.resources] })
}

const joined = (rules: ReadonlyArray<Rule>, { join, rest }: Part): ReadonlyArray<Rule> => {
  const found = new Map<string, Rule>()
  for (const rule of rules) {
    const key = JSON.stringify(rest(rule))
    const known = found.get(key)
    found.set(key, known === undefined ? rule : canonical(join(known, rule)))
  }
  return [...found.values()]
}

const canonical = ({ apiGroups, resourceNames, resources, verbs }: Rule): Rule => ({
  apiGroups: distinct(apiGroups),
  resources: distinct(resources),
  ...(resourceNames === undefined ? {} : { resourceNames: distinct(resourceNames) }),
  verbs: verbOrder.filter((verb) => verbs.includes(verb))
})

const verbOrder: ReadonlyArray<Verb> = ["get", "list", "watch", "update", "patch", "create", "delete"]

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const distinct = (values: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(values)].toSorted(compare)

/** What has a name comes before what has none. */
const sortKey = ({ apiGroups, resourceNames, resources }: Rule): string =>
  JSON.stringify([resources, apiGroups, resourceNames === undefined, resourceNames])
