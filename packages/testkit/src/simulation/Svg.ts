/**
 * Draws a history as an SVG document of its own, without scripts, fonts or styles from elsewhere.
 */
import type { Entry, TimelineOptions } from "../History.ts"
import { seconds, violations } from "./Invariants.ts"
import { describe, rowsOf, segmentsOf } from "./Timeline.ts"
import type { Condition } from "./Timeline.ts"

const colours: { readonly [C in Condition]: string } = {
  Away: "none",
  Standby: "#d8dee6",
  Still: "#9aa7b5",
  Stopping: "#f2b880",
  WorksStill: "#7d8fb3",
  Works: "#2f7d5b"
}

const meanings: { readonly [C in Condition]: string } = {
  Away: "not running",
  Standby: "stands by",
  Still: "stands still",
  Stopping: "work stops",
  WorksStill: "stands still amid work",
  Works: "works"
}

const rowHeight = 28
const barHeight = 16
const top = 24

export const document = (entries: ReadonlyArray<Entry>, options: TimelineOptions = {}): string => {
  const from = options.from ?? 0
  const to = Math.max(from + 1, options.to ?? entries.at(-1)?.at ?? 0)
  const width = options.width ?? 1200
  const names = rowsOf(entries)
  // What happens to the lock, or to all, has a row of its own below the candidates'.
  const hasOthers = entries.some(({ candidate }) => candidate === undefined)
  const labels = hasOthers ? [...names, "around"] : names
  const left = 16 + 8 * Math.max(0, ...labels.map((label) => label.length))
  const x = (at: number) =>
    round(left + ((Math.min(to, Math.max(from, at)) - from) / (to - from)) * (width - left - 28))
  const rowsEnd = top + labels.length * rowHeight
  const isShown = ({ at }: { readonly at: number }) => at >= from && at <= to

  const rows = names.map((name, index) => {
    const y = top + index * rowHeight
    const bars = segmentsOf(entries)
      .filter((it) => it.candidate === name && it.condition !== "Away" && it.to >= from && it.from <= to)
      .map(({ condition, from: since, to: until, token }) => {
        const about = `${name} ${meanings[condition]}${token === undefined ? "" : ` (token ${token})`}, ${seconds(since)} to ${seconds(until)}`
        return `<rect x="${x(since)}" y="${y}" width="${Math.max(1, round(x(until) - x(since)))}" height="${barHeight}" fill="${colours[condition]}"><title>${escaped(about)}</title></rect>`
      })
    return bars.join("")
  })
  const titles = labels.map(
    (label, index) => `<text x="8" y="${top + index * rowHeight + 12}">${escaped(label)}</text>`
  )
  const marks = entries.filter(isShown).flatMap((entry) => {
    const what = describe(entry)
    if (what === undefined) return []
    const row = entry.candidate === undefined ? names.length : names.indexOf(entry.candidate)
    const about = `${seconds(entry.at)}: ${entry.candidate ?? ""} ${what}`
    const y = top + row * rowHeight + barHeight + 4
    return [`<circle cx="${x(entry.at)}" cy="${y}" r="2.5" fill="#556"><title>${escaped(about)}</title></circle>`]
  })
  const found = violations(entries)
    .filter(isShown)
    .map(({ at, invariant, what }) => {
      const about = `${seconds(at)}: ${invariant}: ${what}`
      return `<line x1="${x(at)}" y1="${top - 6}" x2="${x(at)}" y2="${rowsEnd}" stroke="#c62828" stroke-width="2"><title>${escaped(about)}</title></line>`
    })
  const ticks = Array.from({ length: 11 }, (_, index) => from + ((to - from) * index) / 10).map(
    (at) => `<text x="${x(at)}" y="14" text-anchor="middle" fill="#556">${(at / 1000).toFixed(1)} s</text>`
  )
  const key = Object.entries(meanings)
    .filter(([condition]) => condition !== "Away")
    .map(([condition, meaning], index) => {
      const at = left + index * 170
      const colour = colours[condition as Condition]
      return `<rect x="${at}" y="${rowsEnd + 16}" width="12" height="12" fill="${colour}"/><text x="${at + 18}" y="${rowsEnd + 26}">${meaning}</text>`
    })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${rowsEnd + 40}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...ticks,
    ...titles,
    ...rows,
    ...marks,
    ...found,
    ...key,
    "</svg>"
  ].join("\n")
}

const round = (value: number): number => Math.round(value * 10) / 10

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
