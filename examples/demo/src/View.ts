/**
 * The live view: a scene at a moment as the lines of a screen. Pure, so that a test can look at it.
 */
import * as Exclusion from "./Exclusion.ts"
import * as Scene from "./Scene.ts"
import type { Replica, Status } from "./Scene.ts"
import { clip, span, width, wrap, type Line, type Span, type Style } from "./Text.ts"

export interface Screen {
  readonly now: number
  readonly columns: number
  readonly rows: number
  /** What the demo runs on, in a few words. */
  readonly place: string
}

export const frame = (scene: Scene.Scene, screen: Screen): ReadonlyArray<Line> => {
  const above: ReadonlyArray<Line> = [
    spread([span("effect-leader demo", "bold"), span(`  ${screen.place}`, "dim")], clockAt(scene, screen), screen),
    [],
    leadership(scene, screen),
    [],
    ...shown(scene).map((replica) => row(replica, screen)),
    legend,
    [],
    score(scene),
    []
  ]
  const below: ReadonlyArray<Line> = scene.control === "person" ? [[], [span(keys, "bold")]] : []
  const room = Math.max(0, screen.rows - above.length - below.length)
  const notes = scene.notes.flatMap((note) => noteLines(scene, note, screen.columns)).slice(-room)
  return [...above, ...notes, ...below].slice(0, screen.rows).map((line) => clip(line, screen.columns))
}

const keys = "k kill -9   t SIGTERM   f freeze, thaw   q quit"

/** What happened, as one line where there is room: the plain output is nothing else. */
export const noteLines = (scene: Scene.Scene, note: Scene.Note, columns: number): ReadonlyArray<Line> => {
  const time = `${((note.at - scene.startedAt) / 1000).toFixed(3).padStart(8)} s  `
  return wrap(note.text, columns - time.length).map((text, index) => [
    span(index === 0 ? time : " ".repeat(time.length), "dim"),
    span(text, note.style)
  ])
}

const clockAt = (scene: Scene.Scene, { now }: Screen): Line => [
  span(`${((now - scene.startedAt) / 1000).toFixed(1)} s`, "dim")
]

const spread = (left: Line, right: Line, { columns }: Screen): Line => {
  const between = columns - width(left) - width(right)
  return between > 0 ? [...left, span(" ".repeat(between)), ...right] : left
}

/** Who leads, and for how long if it renews no more. */
const leadership = (scene: Scene.Scene, { columns, now }: Screen): Line => {
  const { lease } = scene
  if (lease === undefined) return [span("no Lease yet", "dim")]
  if (lease.holder === undefined) return [span("nobody holds the Lease", "busy")]
  const holder = scene.replicas.find(({ name }) => name === lease.holder)
  const whole = Math.max(1, lease.expiresAt - lease.renewedAt)
  // Never more than the whole: it may have been renewed since `now` was read.
  const remaining = Math.min(whole, Math.max(0, lease.expiresAt - now))
  const isLeading = holder?.status === "leading"
  const line: ReadonlyArray<Span> = [
    span(lease.holder, "bold"),
    span(
      isLeading ? " leads" : ` holds the Lease, ${holder?.status ?? "no replica of ours"}`,
      isLeading ? "good" : "bad"
    ),
    span(holder?.token === undefined ? "" : `  token ${holder.token}`),
    span(`  ${(remaining / 1000).toFixed(1)} s left  `, remaining > 0 ? "plain" : "bad")
  ]
  const cells = Math.max(0, Math.min(30, columns - width(line)))
  const full = Math.round((cells * remaining) / whole)
  return [...line, span("━".repeat(full), isLeading ? "good" : "bad"), span("─".repeat(cells - full), "dim")]
}

const mostRows = 6

/** All that live, and the latest dead as far as there is room. */
const shown = (scene: Scene.Scene): ReadonlyArray<Replica> => {
  const living = Scene.alive(scene)
  const dead = scene.replicas.filter(({ status }) => status === "dead")
  const latest = dead.slice(Math.max(0, dead.length + living.length - mostRows))
  return scene.replicas.filter((replica) => living.includes(replica) || latest.includes(replica))
}

const look: { readonly [S in Status]: { readonly cell: string; readonly style: Style } } = {
  starting: { cell: " ", style: "dim" },
  standby: { cell: "·", style: "plain" },
  leading: { cell: "█", style: "good" },
  stopping: { cell: "▒", style: "busy" },
  frozen: { cell: "░", style: "cold" },
  dead: { cell: " ", style: "dim" }
}
const death = "×"

const legend: Line = [
  span("  "),
  ...(["leading", "standby", "stopping", "frozen"] as const).flatMap((status) => [
    span(look[status].cell, look[status].style),
    span(` ${status}   `, "dim")
  ]),
  span(death, "bad"),
  span(" dead", "dim")
]

const millisPerCell = 500

const row = (replica: Replica, screen: Screen): Line => {
  const head: ReadonlyArray<Span> = [
    span(`  ${replica.name.padEnd(9)}`, replica.status === "dead" ? "dim" : "bold"),
    span(replica.status.padEnd(9), look[replica.status].style),
    span(`${String(replica.ticks).padStart(4)} ticks  `, replica.status === "dead" ? "dim" : "plain")
  ]
  return [...head, ...timeline(replica, screen, Math.max(0, screen.columns - width(head)))]
}

/** The past of a replica, the present at the right end. */
const timeline = (replica: Replica, { now }: Screen, cells: number): ReadonlyArray<Span> => {
  const present = Math.floor(now / millisPerCell)
  return Array.from({ length: cells }, (_, index) => {
    const from = (present - cells + 1 + index) * millisPerCell
    const { from: since, status } = statusBefore(replica, Math.min(now + 1, from + millisPerCell)) ?? {}
    if (status === undefined) return span(" ")
    const diedHere = status === "dead" && since !== undefined && since >= from
    return diedHere ? span(death, "bad") : span(look[status].cell, look[status].style)
  })
}

const statusBefore = (replica: Replica, end: number) => replica.past.findLast(({ from }) => from < end)

const score = (scene: Scene.Scene): Line => {
  const { outside, ticks, violations } = Exclusion.check({ marks: scene.marks, freezes: Scene.freezes(scene) })
  const isClean = violations.length === 0
  return [
    span(`ticks outside leadership: ${outside.length}`, isClean ? "good" : "bad"),
    span(` of ${ticks}`, "dim"),
    span(isClean ? "" : `   ${violations.length} violations`, "bad")
  ]
}
