/**
 * Manifests as YAML in the form that people write: lists of plain words in brackets on one line, all else as blocks.
 */
import { createRequire } from "node:module"
import type * as Yaml from "yaml"

export const make = (manifests: ReadonlyArray<object>, comment: string): string =>
  commented(comment) + manifests.map(documentOf).join("---\n")

const commented = (comment: string): string =>
  comment
    .split("\n")
    .map((line) => `# ${line}`.trimEnd() + "\n")
    .join("")

const documentOf = (manifest: object): string => {
  const { Document, isScalar, visit } = load()
  const document = new Document(manifest, { aliasDuplicateObjects: false })
  visit(document, {
    Seq: (_, list) => {
      list.flow = list.items.every(isScalar)
    }
  })
  return document.toString({ flowCollectionPadding: false, lineWidth: 120 })
}

// When it is needed: it takes 14 MB, which a program that leads need not pay for one that writes its manifests.
const load = (): typeof Yaml => createRequire(import.meta.url)("yaml")
