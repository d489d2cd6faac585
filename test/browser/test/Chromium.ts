/**
 * A real browser without a window: Debian's chromium, or the one that CHROMIUM_PATH names.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { launch } from "puppeteer-core"

const executable = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const named = yield* Config.option(Config.String("CHROMIUM_PATH"))
  const folders = (yield* Config.String("PATH")).split(":")
  const places = ["chromium", "chromium-browser"].flatMap((name) => folders.map((folder) => `${folder}/${name}`))
  for (const place of Option.match(named, { onNone: () => places, onSome: (it) => [it] })) {
    if (yield* fs.exists(place)) return place
  }
  return yield* Effect.die(
    new Error(
      Option.match(named, {
        onNone: () =>
          "no chromium on PATH: install Debian's (apt-get install -y chromium), or name one in CHROMIUM_PATH",
        onSome: (it) => `CHROMIUM_PATH names ${it}, where nothing is: unset it, or name a chromium`
      })
    )
  )
}).pipe(Effect.orDie)

export const start = Effect.gen(function* () {
  const executablePath = yield* executable
  return yield* Effect.acquireRelease(
    // The sandbox wants rights that a container does not give, and the page is our own.
    Effect.promise(() => launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] })),
    (browser) => Effect.promise(() => browser.close())
  )
})
