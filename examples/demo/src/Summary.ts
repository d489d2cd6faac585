/**
 * The end of a run: what was measured for each fault as a table, whether work ever ran outside leadership, and whether
 * everything happened that should have.
 */
import * as Exclusion from "./Exclusion.ts"
import * as Scene from "./Scene.ts"
import type { Fault, Incident } from "./Scene.ts"
import { duration, span, wrap, type Line } from "./Text.ts"

/** Why a run is not a success, in sentences; empty if it is one. */
export const failures = (scene: Scene.Scene, steps: ReadonlyArray<Fault>): ReadonlyArray<string> => {
  const missing = steps
    .filter((step) => !scene.incidents.some((incident) => incident.fault === step && isComplete(incident)))
    .map((step) => `${Scene.signal[step]} of the leader, and what should follow, did not happen`)
  const { violations } = verdictOf(scene)
  return violations.length === 0 ? missing : [...missing, `work outside leadership, ${violations.length} times (above)`]
}

/** Another led, and a frozen replica that woke up has stopped its work. */
const isComplete = ({ fault, next, stoppedAt, thawedAt }: Incident): boolean =>
  next !== undefined && (fault !== "freeze" || (thawedAt !== undefined && stoppedAt !== undefined))

export const lines = (scene: Scene.Scene, columns: number): ReadonlyArray<Line> => {
  const verdict = verdictOf(scene)
  const cells = scene.incidents.map((incident) => measured(incident, verdict, scene))
  const table = [...headings, ...cells]
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  const isWide = widths.reduce((sum, it) => sum + it + gap.length, 0) <= columns + gap.length
  const isClean = verdict.violations.length === 0
  const paragraph = (text: string) => wrap(text, columns).map((line): Line => [span(line)])
  return [
    ...(isWide ? asTable(cells, widths) : asList(cells)),
    [],
    ...scene.incidents.flatMap((incident) => thaw(incident, scene)).flatMap(paragraph),
    [
      span(`Ticks outside leadership: ${verdict.outside.length}`, isClean ? "good" : "bad"),
      span(` of ${verdict.ticks} in ${verdict.terms} terms.`)
    ],
    ...verdict.violations.map((violation): Line => [span(`  ${Exclusion.describe(violation)}`, "bad")])
  ]
}

const gap = "  "

const headings = [
  ["", "next leader", "after the", "after the last", "ticks outside"],
  ["fault", "works after", "lease ran out", "work before it", "leadership"]
]

const measured = (incident: Incident, verdict: Exclusion.Verdict, scene: Scene.Scene): ReadonlyArray<string> => {
  const { at, expiredAt, fault, lastWorkAt, next, replica } = incident
  const outside = verdict.outside.filter(({ token }) => token === incident.token).length
  const ticks = scene.marks.filter(({ did, token }) => did === "ticked" && token === incident.token).length
  return [
    `${Scene.signal[fault]} of ${replica}`,
    next === undefined ? "never" : duration(next.at - at),
    next === undefined || expiredAt === undefined ? "-" : duration(next.at - expiredAt),
    next === undefined ? "-" : duration(next.at - lastWorkAt),
    `${outside} of ${ticks}`
  ]
}

const asTable = (cells: ReadonlyArray<ReadonlyArray<string>>, widths: ReadonlyArray<number>): ReadonlyArray<Line> => {
  const line = (row: ReadonlyArray<string>) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join(gap)
      .trimEnd()
  return [...headings.map((row): Line => [span(line(row), "dim")]), ...cells.map((row): Line => [span(line(row))])]
}

/** For a terminal that is narrower than the table. */
const asList = (cells: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<Line> => {
  const names = headings[0]?.map((upper, column) => `${upper} ${headings[1]?.[column] ?? ""}`) ?? []
  return cells.flatMap(([fault = "", ...values]): ReadonlyArray<Line> => [
    [span(fault, "bold")],
    ...values.map((value, index): Line => [span(`  ${(names[index + 1] ?? "").padEnd(30)}`, "dim"), span(value)])
  ])
}

const thaw = (incident: Incident, scene: Scene.Scene): ReadonlyArray<string> => {
  const { next, replica, stoppedAt, thawedAt, token } = incident
  if (thawedAt === undefined) return []
  const led = next === undefined ? "" : `, when ${next.replica} had led for ${duration(thawedAt - next.at)}`
  const stopped =
    stoppedAt === undefined ? "has not stopped its work" : `stopped its work ${duration(stoppedAt - thawedAt)} later`
  const ticks = scene.marks.filter((mark) => mark.did === "ticked" && mark.token === token && mark.at > thawedAt).length
  return [`${replica} woke up${led}: it ${stopped}, after ${ticks} more ticks with its old token.`]
}

const verdictOf = (scene: Scene.Scene): Exclusion.Verdict =>
  Exclusion.check({ marks: scene.marks, freezes: Scene.freezes(scene) })
