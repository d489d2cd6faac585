/**
 * The status page in a real browser. It needs Debian's chromium, and fails without it.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { LeaseLock } from "@effect-leader/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Page } from "puppeteer-core"
import * as Candidate from "./Candidate.ts"
import * as Chromium from "./Chromium.ts"

/** A page that notes what it asks for, and what goes wrong in it. */
const open = Effect.fnUntraced(function* (url: string) {
  const browser = yield* Chromium.start
  const page = yield* Effect.promise(() => browser.newPage())
  const problems: Array<string> = []
  const requests: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warn") problems.push(message.text())
  })
  page.on("pageerror", (error) => problems.push(String(error)))
  page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`))
  page.on("request", (request) => requests.push(request.url()))
  yield* Effect.promise(() => page.goto(url, { waitUntil: "load" }))
  return { page, problems, requests }
})

const textOf = (page: Page, selector: string) =>
  Effect.promise(() => page.$eval(selector, (element) => element.textContent ?? ""))

/** Waits until the element says so. By looking, since what puppeteer would inject for it is refused by the page's policy. */
const says = (page: Page, selector: string, text: string) =>
  Effect.promise(() => page.evaluate((selector) => document.querySelector(selector)?.textContent ?? "", selector)).pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (seen) => seen.includes(text) }),
    Effect.timeout("30 seconds"),
    Effect.catch(() =>
      Effect.flatMap(textOf(page, "body"), (all) => Effect.die(new Error(`${selector} never said "${text}": ${all}`)))
    )
  )

const evil = `b <script>alert(1)</script><img src=x onerror=alert(2)>`

describe("the status page in a browser", () => {
  it.live("shows the leader, and a change of the leader without reloading", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const a = yield* Candidate.start(lock, "a")
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => a.isLeader })
      const b = yield* Candidate.start(lock, evil)
      const server = yield* Candidate.serve(b.context, 0)
      const { page, problems, requests } = yield* open(server.url)

      yield* says(page, "#connection", "Live")
      yield* says(page, "h1", "a leads")
      assert.strictEqual(yield* textOf(page, "#headline p"), `This is ${evil}, which follows.`)
      yield* says(page, "dl", "127.0.0.1:8080")
      assert.strictEqual(yield* Effect.promise(() => page.title()), "a leads reports")
      yield* Effect.promise(() => page.evaluate(() => document.body.setAttribute("data-kept", "yes")))

      yield* a.close
      yield* says(page, "h1", `${evil} leads`)
      yield* says(page, "dl", "Fencing token")
      yield* says(page, "tbody tr:nth-child(2)", "not known here")
      // It counts on by itself.
      yield* says(page, "dl", "2 s")
      assert.isTrue(yield* Effect.promise(() => page.evaluate(() => document.body.dataset["kept"] === "yes")))
      assert.deepStrictEqual(problems, [])
      assert.isTrue(requests.every((url) => url.startsWith(server.url) || url.startsWith("data:")))
      assert.deepStrictEqual(
        requests.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).pathname),
        ["/", "/events"]
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("says that it is cut off, and recovers when the server is back", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "reports" }))
      const a = yield* Candidate.start(lock, "a")
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => a.isLeader })
      const first = yield* Candidate.serve(a.context, 0)
      const { page } = yield* open(first.url)
      yield* says(page, "#connection", "Live")

      yield* first.close
      yield* says(page, "#connection", "Cut off at")
      assert.isTrue(yield* Effect.promise(() => page.evaluate(() => document.body.classList.contains("cut"))))
      // What was known last stays.
      assert.strictEqual(yield* textOf(page, "h1"), "a leads")

      yield* Candidate.serve(a.context, Number(new URL(first.url).port))
      yield* says(page, "#connection", "Live")
      assert.isFalse(yield* Effect.promise(() => page.evaluate(() => document.body.classList.contains("cut"))))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("fits a phone, in the light and in the dark, whatever the candidates are called", () =>
    Effect.gen(function* () {
      const lock = yield* Layer.build(LeaseLock.layerMemory({ name: "a-namespace-with-a-rather-long-name/reports" }))
      const a = yield* Candidate.start(lock, "a".repeat(253))
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => a.isLeader })
      const b = yield* Candidate.start(lock, "reports-6d4cf56db6-x2v9q")
      const server = yield* Candidate.serve(b.context, 0)
      const { page } = yield* open(server.url)
      yield* a.close
      yield* says(page, "h1", "reports-6d4cf56db6-x2v9q leads")
      const grounds = new Set<string>()
      for (const scheme of ["light", "dark"]) {
        yield* Effect.promise(() => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]))
        for (const width of [360, 700, 1_280]) {
          yield* Effect.promise(() => page.setViewport({ width, height: 800 }))
          const seen = yield* Effect.promise(() =>
            page.evaluate(() => ({
              width: document.documentElement.scrollWidth,
              // Beyond its own box, and so over something else.
              spilling: [...document.querySelectorAll("main *, header *")].filter(
                (element) => element.getBoundingClientRect().right > document.documentElement.clientWidth
              ).length,
              ground: getComputedStyle(document.body).backgroundColor
            }))
          )
          assert.deepStrictEqual([seen.width, seen.spilling], [width, 0], `${scheme} at ${width} px`)
          grounds.add(seen.ground)
          if (process.env["SCREENSHOTS"] !== undefined) {
            const path = `${process.env["SCREENSHOTS"]}/${scheme}-${width}.png` as const
            yield* Effect.promise(() => page.screenshot({ path, fullPage: true }))
          }
        }
      }
      assert.strictEqual(grounds.size, 2)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
