/**
 * A client of a Service that sends requests at a steady rate, whatever becomes of them: it asks the Service's EndpointSlice
 * where to send, as kube-proxy would, and tries what fails once more. Its log says what each request came to.
 */
import { Cluster, type Endpoint } from "@effect-leader/test-cluster/Cluster"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { get } from "node:http"

export interface Answer {
  readonly status: number
  readonly body: string
  /** The token of the term in which it was answered. */
  readonly token: bigint
}

/** One request, in milliseconds of the monotonic clock. */
export interface Sent {
  readonly sentAt: number
  readonly endedAt: number
  readonly tries: number
  /** None if both tries failed. */
  readonly answer: Option.Option<Answer>
}

export interface Traffic {
  readonly log: () => ReadonlyArray<Sent>
  readonly stop: Effect.Effect<ReadonlyArray<Sent>>
}

const perSecond = 50

export const start = Effect.fnUntraced(function* (service: string) {
  const { watchEndpoints } = yield* Cluster
  let endpoints: ReadonlyArray<Endpoint> = []
  yield* watchEndpoints(service).pipe(
    Stream.runForEach((now) =>
      Effect.sync(() => {
        endpoints = now
      })
    ),
    Effect.ignore,
    Effect.andThen(Effect.sleep("20 millis")),
    Effect.forever,
    Effect.forkScoped
  )
  const log: Array<Sent> = []
  const attempt = Effect.suspend(() => {
    const endpoint = endpoints[0]
    return endpoint === undefined ? Effect.succeedNone : ask(endpoint)
  })
  const send = Effect.gen(function* () {
    const sentAt = performance.now()
    const first = yield* attempt
    const answer = Option.isSome(first) ? first : yield* Effect.delay(attempt, "1 second")
    log.push({ sentAt, endedAt: performance.now(), tries: Option.isSome(first) ? 1 : 2, answer })
  })
  const sending = yield* Effect.forkScoped(
    Effect.forever(Effect.andThen(Effect.forkScoped(send), Effect.sleep(1000 / perSecond)))
  )
  const traffic: Traffic = {
    log: () => log,
    // What is under way has a try left.
    stop: Fiber.interrupt(sending).pipe(Effect.andThen(Effect.sleep("4 seconds")), Effect.as(log))
  }
  return traffic
})

/** None if no answer came, or one that says to try again. */
export const ask = ({ host, port }: Endpoint, path = "/"): Effect.Effect<Option.Option<Answer>> =>
  Effect.callback<Option.Option<Answer>>((resume) => {
    const none = () => resume(Effect.succeedNone)
    const request = get({ host, port, path, agent: false, timeout: 1500 }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", none)
      response.on("end", () => {
        const status = response.statusCode ?? 0
        if (status >= 500) return none()
        const token = BigInt(String(response.headers["leader-token"] ?? "0"))
        resume(Effect.succeedSome({ status, body: Buffer.concat(chunks).toString().trim(), token }))
      })
    })
    request.on("timeout", () => request.destroy())
    request.on("error", none)
    return Effect.sync(() => request.destroy())
  })

/**
 * Pairs that show an answer of a pod that did not lead any more: it was asked for after another had answered already under
 * a greater token.
 */
export const stale = (log: ReadonlyArray<Sent>): ReadonlyArray<string> => {
  const answered = log.flatMap(({ answer, endedAt, sentAt }) =>
    Option.isSome(answer) ? [{ ...answer.value, endedAt, sentAt }] : []
  )
  const ended = answered.toSorted((a, b) => a.endedAt - b.endedAt)
  let next = 0
  let greatest: (typeof answered)[number] | undefined
  return answered
    .toSorted((a, b) => a.sentAt - b.sentAt)
    .flatMap((one) => {
      for (let it = ended[next]; it !== undefined && it.endedAt < one.sentAt; it = ended[++next]) {
        if (greatest === undefined || it.token > greatest.token) greatest = it
      }
      return greatest !== undefined && one.token < greatest.token
        ? [`${one.body} answered under ${one.token} after ${greatest.body} had under ${greatest.token}`]
        : []
    })
}

/** The longest time in which no answer came to any request. */
export const gap = (log: ReadonlyArray<Sent>): number => {
  const ends = log.flatMap(({ answer, endedAt, tries }) => (Option.isSome(answer) && tries === 1 ? [endedAt] : []))
  return ends
    .toSorted((a, b) => a - b)
    .reduce((most, end, index, all) => Math.max(most, end - (all[index - 1] ?? end)), 0)
}
