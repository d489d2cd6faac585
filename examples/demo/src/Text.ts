/**
 * Words and numbers as the demo writes them, and lines of styled text that know their width.
 */

/** `312 ms`, `4.87 s`. */
export const duration = (millis: number): string =>
  Math.abs(millis) < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(2)} s`

export type Style = "plain" | "bold" | "dim" | "good" | "bad" | "busy" | "cold"

export interface Span {
  readonly text: string
  readonly style: Style
}

export type Line = ReadonlyArray<Span>

export const span = (text: string, style: Style = "plain"): Span => ({ text, style })

export const width = (line: Line): number => line.reduce((sum, { text }) => sum + text.length, 0)

/** What of the line fits into so many columns. */
export const clip = (line: Line, columns: number): Line => {
  const clipped: Array<Span> = []
  let left = columns
  for (const { style, text } of line) {
    if (left <= 0) break
    clipped.push({ text: text.slice(0, left), style })
    left -= text.length
  }
  return clipped
}

/** The text on lines of at most so many columns, broken between words where it has any. */
export const wrap = (text: string, columns: number): ReadonlyArray<string> => {
  if (text.length <= columns || columns < 1) return [text]
  const space = text.lastIndexOf(" ", columns)
  const end = space > 0 ? space : columns
  return [text.slice(0, end), ...wrap(text.slice(end).trimStart(), columns)]
}

/** As a terminal takes it. */
export const paint = (line: Line, isColored: boolean): string =>
  line
    .map(({ style, text }) => (isColored && style !== "plain" ? `\u001b[${sgr[style]}m${text}\u001b[0m` : text))
    .join("")

const sgr = { bold: "1", dim: "2", good: "32", bad: "31", busy: "33", cold: "36" } as const
