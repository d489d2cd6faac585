/**
 * HTML in which everything that is put in is escaped, unless it is such HTML itself.
 */
export interface Html {
  readonly markup: string
}

type Value = string | number | Html | ReadonlyArray<Html>

export const html = (parts: TemplateStringsArray, ...values: ReadonlyArray<Value>): Html => ({
  markup: parts.reduce((all, part, index) => all + markupOf(values[index - 1] ?? "") + part)
})

/** Text that is HTML already, because it was written here. */
export const trusted = (markup: string): Html => ({ markup })

const markupOf = (value: Value): string => {
  if (typeof value === "string") return value.replaceAll(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`)
  if (typeof value === "number") return String(value)
  return "markup" in value ? value.markup : value.map(({ markup }) => markup).join("")
}
