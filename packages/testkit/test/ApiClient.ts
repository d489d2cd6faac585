/**
 * A small API client over node:http(s), with nothing between a test and the wire: what the semantics tests speak to any
 * Kubernetes API server with.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"

/** The server to test, and tokens of it. */
export interface Target {
  readonly url: string
  /** PEM; none for HTTP. */
  readonly ca: Option.Option<string>
  /** Of a user who may do everything. */
  readonly adminToken: string
  /** Of the user `limited`, who may do what `limitedRules` say and nothing else. */
  readonly limitedToken: string
}

export interface Answer {
  readonly status: number
  readonly contentType: string
  /** Parsed when it is JSON, else the text. */
  readonly body: unknown
}

export interface Asked {
  /** Default: the admin's; null: none. */
  readonly token?: string | null
  readonly body?: unknown
  /** Sent as it is, instead of `body`. */
  readonly text?: string
  readonly contentType?: string
}

export interface WatchEvent {
  readonly type: string
  readonly object: unknown
}

export interface Watching {
  /** The next event; fails when the watch has ended. */
  readonly next: Effect.Effect<WatchEvent, Cause.Done>
  /** Waits for the end: true when it was in order. */
  readonly ended: Effect.Effect<boolean>
}

/** A client of the server under test. */
export class ApiClient extends Context.Service<
  ApiClient,
  {
    readonly target: Target
    readonly ask: (method: string, path: string, asked?: Asked) => Effect.Effect<Answer, Error>
    /** Opens a watch; fails with the answer when it is refused. */
    readonly watch: (path: string, token?: string) => Effect.Effect<Watching, Error | Answer, Scope.Scope>
    /** Opens a watch and does not read it; what it returns reads all of it and says whether it ended in order. */
    readonly watchDeaf: (path: string) => Effect.Effect<Effect.Effect<boolean>, Error, Scope.Scope>
  }
>()("@effect-leader/testkit/test/ApiClient") {}

/** A client of its own, with its own connections. */
export const make = (target: Target): Effect.Effect<ApiClient["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const secure = target.url.startsWith("https:")
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() =>
        secure
          ? new Https.Agent({ keepAlive: true, ca: Option.getOrUndefined(target.ca) })
          : new Http.Agent({ keepAlive: true })
      ),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const open = (method: string, path: string, { body, contentType, text, token = target.adminToken }: Asked) =>
      Effect.callback<Http.IncomingMessage, Error>((resume) => {
        const payload = text ?? (body === undefined ? undefined : JSON.stringify(body))
        const headers = {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(payload === undefined
            ? {}
            : { "content-type": contentType ?? "application/json", "content-length": Buffer.byteLength(payload) })
        }
        const request = (secure ? Https : Http).request(`${target.url}${path}`, { method, headers, agent })
        request.once("response", (response) => resume(Effect.succeed(response)))
        request.on("error", (error) => resume(Effect.fail(error)))
        request.end(payload)
        return Effect.sync(() => request.destroy())
      })
    const openScoped = (path: string, token?: string) =>
      Effect.acquireRelease(open("GET", path, token === undefined ? {} : { token }), (response) =>
        Effect.sync(() => response.destroy())
      )
    return {
      target,
      ask: (method, path, asked = {}) => Effect.flatMap(open(method, path, asked), readAnswer),
      watch: (path, token) =>
        Effect.gen(function* () {
          const response = yield* openScoped(path, token)
          if (response.statusCode !== 200) return yield* Effect.flatMap(readAnswer(response), Effect.fail)
          const events = yield* Queue.unbounded<WatchEvent, Cause.Done>()
          let rest = ""
          response.setEncoding("utf8").on("data", (text: string) => {
            const lines = (rest + text).split("\n")
            rest = lines.pop() ?? ""
            for (const line of lines) {
              const event: unknown = JSON.parse(line)
              if (Predicate.hasProperty(event, "type") && Predicate.hasProperty(event, "object")) {
                Queue.offerUnsafe(events, { type: String(event.type), object: event.object })
              }
            }
          })
          response.on("error", () => {})
          response.once("close", () => Queue.endUnsafe(events))
          return {
            next: Effect.timeoutOrElse(Queue.take(events), {
              duration: "5 seconds",
              orElse: () => Effect.die(new Error(`no event came on ${path}`))
            }),
            ended: Effect.map(Queue.collect(events), () => response.complete)
          }
        }),
      watchDeaf: (path) =>
        Effect.map(openScoped(path), (response) => {
          response.pause()
          return Effect.callback<boolean>((resume) => {
            response.once("close", () => resume(Effect.succeed(response.complete)))
            response.resume()
          })
        })
    }
  })

/** A client of the server that a layer starts. */
export const layer = <E, R>(target: Effect.Effect<Target, E, R>) =>
  Layer.effect(ApiClient, Effect.flatMap(target, make))

const readAnswer = (response: Http.IncomingMessage): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    response.on("data", (chunk: Buffer) => chunks.push(chunk))
    response.once("error", (error) => resume(Effect.fail(error)))
    response.once("end", () => {
      const contentType = response.headers["content-type"] ?? ""
      const text = Buffer.concat(chunks).toString("utf8")
      const body: unknown = contentType.startsWith("application/json") ? JSON.parse(text) : text
      // Later, when the agent has its connection back: what is asked next then goes over the same one.
      setImmediate(() => resume(Effect.succeed({ status: response.statusCode ?? 0, contentType, body })))
    })
  })

/** What is at a path of properties in a parsed body: `at(answer.body, "metadata.uid")`. */
export const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce((inner, step) => (Predicate.hasProperty(inner, step) ? inner[step] : undefined), value)

/** The same for text. */
export const textAt = (value: unknown, path: string): string => String(at(value, path))

export const versionOf = (value: unknown): bigint => BigInt(textAt(value, "metadata.resourceVersion"))
