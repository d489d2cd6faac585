/**
 * Visits every world that can be reached within the bounds, breadth first, so that the first violation found is one of
 * the shortest; tells it as a timeline.
 */
import { Option } from "effect"
import type { Role, State } from "../../src/decide/State.ts"
import type { Observation } from "../../src/LeaseLock.ts"
import { moves, urgentMoves } from "./Moves.ts"
import type { Bounds } from "./Moves.ts"
import { momentOf, second, Violation } from "./World.ts"
import type { Decide, Node, World } from "./World.ts"

export interface Explored {
  readonly states: number
  readonly depth: number
  /** Whether every reachable world was visited, and not only the first `limit`. */
  readonly isComplete: boolean
  readonly found: Found | undefined
}

export interface Found {
  readonly violation: Violation
  readonly timeline: ReadonlyArray<string>
}

export interface Options {
  readonly limit?: number
  /** What must hold of every world besides the invariants. */
  readonly always?: (world: World) => Violation | undefined
}

interface Visit {
  readonly world: World
  readonly parent: Visit | undefined
  readonly label: string
}

export const explore = (decide: Decide, bounds: Bounds, start: World, options: Options = {}): Explored => {
  const limit = options.limit ?? 2_000_000
  const seen = new Set([key(start)])
  let frontier: Array<Visit> = [{ world: start, parent: undefined, label: "start" }]
  let depth = 0
  while (frontier.length > 0) {
    const next: Array<Visit> = []
    for (const visit of frontier) {
      for (const move of moves(decide, bounds, visit.world)) {
        const outcome = move.to()
        const violation = outcome instanceof Violation ? outcome : options.always?.(outcome)
        if (violation !== undefined) {
          const timeline = [...timelineOf(visit), `${time(visit.world)}  ${move.label}`, `=> ${violation.what}`]
          return { states: seen.size, depth: depth + 1, isComplete: false, found: { violation, timeline } }
        }
        if (outcome instanceof Violation) continue
        const reached = key(outcome)
        if (seen.has(reached)) continue
        seen.add(reached)
        next.push({ world: outcome, parent: visit, label: move.label })
      }
      if (seen.size >= limit) return { states: seen.size, depth, isComplete: false, found: undefined }
    }
    frontier = next
    if (frontier.length > 0) depth += 1
  }
  return { states: seen.size, depth, isComplete: true, found: undefined }
}

/** I3: once faults end, somebody leads within `within`, if anybody can. One fair schedule stands for all. */
export const leadsSoon = (decide: Decide, within: bigint, every = 1): ((world: World) => Violation | undefined) => {
  let visited = 0
  return (world) => {
    visited += 1
    return visited % every === 0 && canLead(world) ? unled(decide, world, within) : undefined
  }
}

const canLead = (world: World): boolean =>
  world.nodes.some(
    (node) =>
      node.condition === "Alive" &&
      !node.isCut &&
      !node.isDeaf &&
      node.state.role._tag !== "Stopped" &&
      !("next" in node.state.role && node.state.role.next === "Leave")
  )

const unled = (decide: Decide, world: World, within: bigint): Violation | undefined => {
  const deadline = world.now + within
  const patient = { horizon: deadline, faults: [] }
  let at: World = world
  while (true) {
    if (at.nodes.some((node) => node.condition === "Alive" && node.state.role._tag === "Leading")) return undefined
    // What lags may lag for ever, and what is frozen stays so.
    const isEndless = ({ label }: { readonly label: string }) => /runs again$|late notice$/.test(label)
    const move = urgentMoves(decide, at)[0] ?? moves(decide, patient, at).find((it) => !isEndless(it))
    if (move === undefined) break
    const outcome = move.to()
    if (outcome instanceof Violation) return outcome
    at = outcome
  }
  return new Violation("I3", `nobody leads for ${Number(within / second)} s after the last fault`)
}

const timelineOf = (visit: Visit): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (let at: Visit | undefined = visit; at?.parent !== undefined; at = at.parent) {
    lines.push(`${time(at.world)}  ${at.label.padEnd(36)} ${at.world.nodes.map(brief).join("  ")}`)
  }
  return lines.toReversed()
}

const time = (world: World): string => `${(Number(world.now) / Number(second)).toFixed(2).padStart(7)} s`

const brief = (node: Node): string => {
  const condition = node.condition === "Alive" ? "" : ` (${node.condition})`
  const work = node.work === "None" ? "" : `, work ${node.work.toLowerCase()}`
  return `${node.settings.identity}${condition}: ${node.state.role._tag}${work};`
}

/** Two worlds with one key have the same future: instants count from now, versions from the present one. */
const key = (world: World): string =>
  JSON.stringify([
    world.faultsLeft,
    Number(world.now / second),
    observationKey(world.register, world),
    Number(world.register.fence - world.newestToken),
    world.nodes.map((node) => nodeKey(node, world)),
    world.network.map(({ answer, from, id, incarnation, isLate, request }) => [
      from,
      world.nodes[from]?.settings.incarnation === incarnation && world.nodes[from]?.state.request?.id === id,
      isLate,
      request.kind === "Read"
        ? "-"
        : [Number(world.register.fence - request.expected.fence), Option.isNone(request.next.holder)],
      answer === undefined
        ? "-"
        : answer._tag === "Success"
          ? observationKey(answer.success, world)
          : answer.failure.reason._tag
    ])
  ])

const nodeKey = (node: Node, world: World) => {
  const moment = momentOf(node.clock, world.now)
  const now = moment.monotonic
  const { request, role, seen, watch } = node.state
  const after = (at: bigint | undefined) => (at === undefined ? "-" : at <= now ? 0 : Number(at - now))
  return [
    node.condition,
    node.condition === "Alive" ? node.hasThawed : Number(world.now - node.since),
    node.work,
    node.toldUpTo === undefined ? "-" : Number(world.register.fence - node.toldUpTo),
    node.watchLags,
    node.isCut,
    node.isDeaf,
    node.hasResigned,
    node.heldLife === world.register.uid,
    Number(node.clock.wallOffset),
    node.settings.incarnation.length,
    seen === undefined ? "-" : [observationKey(seen.observation, world), after(seen.heldUntil)],
    watch._tag === "Open" ? watch.failures : [watch.failures, after(watch.retryAt)],
    request === undefined
      ? "-"
      : [request.kind, Number(now - request.sentAt.monotonic), after(request.until), isCurrent(node.state)],
    Number(node.state.spread),
    "tenure" in role
      ? [
          Number(now - role.tenure.sentAt.monotonic),
          Number(moment.wall - role.tenure.sentAt.wall),
          after(role.tenure.renewAt),
          role.tenure.failures,
          role.tenure.conflicts
        ]
      : "-",
    roleKey(role, after)
  ]
}

const isCurrent = (state: State): boolean => state.request?.against === state.seen?.observation.version

const observationKey = ({ fence, record, uid }: Observation, world: World) => [
  Number(world.register.fence - fence),
  uid === world.register.uid,
  Option.match(record, {
    onNone: () => "-",
    onSome: ({ holder, incarnation, leaseDuration, renewedAt }) => [
      Option.getOrElse(holder, () => ""),
      incarnation,
      String(leaseDuration),
      Number(renewedAt.epochMilliseconds) - Number(world.now / 1_000_000n)
    ]
  })
]

const roleKey = (role: Role, after: (at: bigint | undefined) => number | string) => {
  switch (role._tag) {
    case "Following":
      return [
        role._tag,
        after(role.readAt),
        after(role.contestAt),
        after(role.restUntil),
        role.conflicts,
        role.unanswered,
        role.trouble?.during,
        role.trouble?.times
      ]
    case "Yielding":
      return [role._tag, role.end, after(role.drainBy), role.next]
    case "Stopping":
      return [role._tag, role.end, after(role.overrunAt), role.next]
    case "Releasing":
      return [role._tag, after(role.until), after(role.retryAt), role.failures, role.next]
    case "Leading":
    case "Stopped":
      return [role._tag]
  }
}
