/**
 * The TypeScript that the documentation shows: every fenced block that starts with ```` ```ts ````, in Markdown and in
 * JSDoc. ```` ```ts job.ts ```` gives the block a name under which the document's other blocks can import it. A block
 * that is not meant to compile says so: ```` ```ts no-check ````.
 */
export interface CodeBlock {
  readonly document: string
  /** The line of the document that holds its first line of code, counted from 1. */
  readonly line: number
  readonly name: string | undefined
  readonly code: string
}

const opening = /^```ts(?:\s+(\S+\.ts))?\s*$/
const closing = /^```\s*$/

export const extract = (document: string, text: string): ReadonlyArray<CodeBlock> => {
  const lines = text.split("\n").map((line) => (document.endsWith(".ts") ? withoutStar(line) : line))
  return lines.flatMap((line, index) => {
    const opened = opening.exec(line)
    if (opened === null) return []
    const rest = lines.slice(index + 1)
    const code = rest.slice(
      0,
      rest.findIndex((line) => closing.test(line))
    )
    return [{ document, line: index + 2, name: opened[1], code: `${code.join("\n")}\n` }]
  })
}

/** A line of a JSDoc comment as its writer meant it; of code outside comments nothing is left that could open a block. */
const withoutStar = (line: string) => /^\s*\* ?(.*)$/.exec(line)?.[1] ?? ""
