import type { EmbeddedApiServer } from "@effect-leader/testkit"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "./EmbeddedCluster.ts"
import { reasonOf, startServer } from "./EmbeddedLock.ts"
import { answering, connect, kubeconfigOf, lease, reports, sendJson, serve } from "./OddServer.ts"

/** An exec plugin that returns the token that is in a file now, takes its time, and counts its runs. */
const plugin = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const script = join(folder, "plugin.mjs")
  const token = join(folder, "token")
  const runs = join(folder, "runs")
  writeFileSync(runs, "")
  writeFileSync(
    script,
    `import { appendFileSync, readFileSync } from "node:fs"
appendFileSync(${JSON.stringify(runs)}, "x")
const token = readFileSync(${JSON.stringify(token)}, "utf8")
const [word, output] = token.split(":")
if (word === "fail") {
  if (output) console.error(output)
  process.exit(1)
}
if (word === "print") console.log(token.slice(word.length + 1))
else setTimeout(() => console.log(JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token } })), 300)
`
  )
  return {
    user: {
      exec: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: process.execPath,
        args: [script],
        interactiveMode: "Never"
      }
    },
    setToken: (value: string) => writeFileSync(token, value),
    runs: () => readFileSync(runs, "utf8").length
  }
})

const insecure = (server: string) => ({ server, "insecure-skip-tls-verify": true })

const users = (token: string): EmbeddedApiServer.Options["users"] & object => ({ [token]: { name: "a" } })

describe("an exec plugin", () => {
  it.live("runs once for all requests that wait for it, and again after a 401", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: users("t1") })
      const { runs, setToken, user } = yield* plugin
      setToken("t1")
      const { lock } = yield* connect(kubeconfigOf(insecure(server.url), user))
      assert.strictEqual(runs(), 0)
      yield* Effect.all(
        Array.from({ length: 10 }, () => lock.read),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(runs(), 1)

      yield* server.setUsers(users("t2"))
      setToken("t2")
      yield* Effect.all(
        Array.from({ length: 10 }, () => lock.read),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(runs(), 2)
    })
  )

  it.live("that is slower than a request's timeout is waited for by the next request, not started again", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: users("t1") })
      const { runs, setToken, user } = yield* plugin
      setToken("t1")
      const { lock } = yield* connect(kubeconfigOf(insecure(server.url), user))
      const retrying = lock.read.pipe(Effect.timeout("100 millis"), Effect.retry({ times: 100 }))
      yield* retrying
      assert.strictEqual(runs(), 1)
    })
  )

  it.live("that fails says so, with its own words, and is tried again by the next request", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: users("t1") })
      const { setToken, user } = yield* plugin
      setToken("fail:the plugin is not logged in")
      const { lock } = yield* connect(kubeconfigOf(insecure(server.url), user))
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, "the plugin is not logged in")
      assert.include(reason.detail, process.execPath)
      setToken("t1")
      yield* lock.read
    })
  )

  it.live.each<[string, string, string]>([
    ["fails without a word", "fail", "it failed and printed nothing to its standard error"],
    ["prints no JSON", "print:SECRET", "its output is not JSON"],
    ["prints no status", `print:{"token":"SECRET"}`, "its output is no ExecCredential with a status"],
    ["returns no credential", `print:{"status":{}}`, "its output has neither a token nor a client certificate"]
  ])("that %s says so, without what it printed, and is run again by the next request", ([, output, said]) =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: users("t1") })
      const { runs, setToken, user } = yield* plugin
      setToken(output)
      const { lock } = yield* connect(kubeconfigOf(insecure(server.url), user))
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(reason.detail, said)
      assert.notInclude(reason.detail, "SECRET")
      setToken("t1")
      yield* lock.read
      assert.strictEqual(runs(), 2)
    })
  )

  it.live("is told in KUBERNETES_EXEC_INFO which credential is wanted, beside its own variables", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: users("v1 own") })
      const script = `const { apiVersion } = JSON.parse(process.env.KUBERNETES_EXEC_INFO)
const token = apiVersion.split("/")[1] + " " + process.env.OWN
console.log(JSON.stringify({ apiVersion, kind: "ExecCredential", status: { token } }))`
      const exec = {
        apiVersion: "client.authentication.k8s.io/v1",
        command: process.execPath,
        args: ["-e", script],
        env: [{ name: "OWN", value: "own" }]
      }
      const { lock } = yield* connect(kubeconfigOf(insecure(server.url), { exec }))
      yield* lock.read
    })
  )

  it.live("that does not exist says which", () =>
    Effect.gen(function* () {
      const { client } = yield* connect(
        kubeconfigOf(insecure("http://127.0.0.1:1"), { exec: { command: "no-such-plugin-here" } })
      )
      const error = yield* Effect.flip(client.get(reports))
      assert.strictEqual(error.reason._tag, "NoCredential")
      assert.include(error.message, "no-such-plugin-here")
    })
  )
})

describe("credentials", () => {
  it.live("a token file that rotated is read again after a 401", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ users: users("t1") })
      const file = join(yield* temporaryFolder, "token")
      writeFileSync(file, "t1\n")
      const { lock } = yield* connect(kubeconfigOf(insecure(server.url), { tokenFile: file }))
      yield* lock.read
      yield* server.setUsers(users("t2"))
      writeFileSync(file, "t2\n")
      yield* lock.read
    })
  )

  it.live("a user name with password, and an impersonated user", () =>
    Effect.gen(function* () {
      const seen: Array<object> = []
      const server = yield* serve((request, response) => {
        seen.push(request.headers)
        sendJson(response, 200, lease("1"))
      })
      const { client } = yield* connect(
        kubeconfigOf(insecure(server), { username: "u", password: "p", as: "somebody" })
      )
      yield* client.get(reports)
      assert.deepInclude(seen[0], {
        authorization: `Basic ${Buffer.from("u:p").toString("base64")}`,
        "impersonate-user": "somebody"
      })
    })
  )

  it.live("nothing but a 401 is tried again", () =>
    Effect.gen(function* () {
      let requests = 0
      const { lock } = yield* answering((_, response) => {
        requests += 1
        sendJson(response, requests === 1 ? 401 : 503, {})
      })
      const reason = yield* reasonOf(lock.read)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.strictEqual(requests, 2)
      yield* reasonOf(lock.read)
      assert.strictEqual(requests, 3)
    })
  )
})
