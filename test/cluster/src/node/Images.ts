/**
 * What a registry is to a cluster: which folder and command an image name stands for. Containers are processes here, so an
 * image is a folder that was there already.
 */
import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

export interface Image {
  readonly folder: string
  /** What runs when the container names no command. */
  readonly entrypoint: ReadonlyArray<string>
}

export type Images = { readonly [name: string]: Image }

/** Every example with a `src/main.ts`, as `effect-leader/<folder>`. */
export const examples = (): Images => {
  const root = fileURLToPath(new URL("../../../../examples", import.meta.url))
  return Object.fromEntries(
    readdirSync(root)
      .filter((name) => existsSync(`${root}/${name}/src/main.ts`))
      .map((name) => [`effect-leader/${name}`, { folder: `${root}/${name}`, entrypoint: ["node", "src/main.ts"] }])
  )
}

/** With any tag or digest. */
export const find = (images: Images, name: string): Image | undefined =>
  images[name] ?? images[name.replace(/(@sha256:.*|:[^/:]+)$/, "")]
