/**
 * Bodies of requests and answers, and what a fault makes of them.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { IncomingMessage } from "node:http"
import { ConnectionError } from "./Upstream.ts"

type Bytes<E> = Stream.Stream<Uint8Array, E>

/** As they come. */
export const bytes = (message: IncomingMessage): Bytes<ConnectionError> =>
  Stream.fromAsyncIterable<Uint8Array, ConnectionError>(message, (cause) => new ConnectionError({ cause }))

export const whole = (message: IncomingMessage): Effect.Effect<Buffer, ConnectionError> =>
  Effect.map(Stream.runCollect(bytes(message)), (chunks) => Buffer.concat(chunks))

/** The answer to a watch, event by event where it is JSON, so that none is ever cut in two. */
export const events = (message: IncomingMessage): Bytes<ConnectionError> => {
  const isJson = message.headers["content-type"]?.includes("json") === true
  return isJson ? Stream.flatMap(bytes(message), linesOf()) : bytes(message)
}

const newline = "\n".charCodeAt(0)

const linesOf = (): ((chunk: Uint8Array) => Bytes<never>) => {
  let unfinished = Buffer.alloc(0)
  return (chunk) => {
    const all = Buffer.concat([unfinished, chunk])
    const lines: Array<Buffer> = []
    let start = 0
    for (let at = all.indexOf(newline); at >= 0; at = all.indexOf(newline, start)) {
      lines.push(all.subarray(start, at + 1))
      start = at + 1
    }
    unfinished = all.subarray(start)
    return Stream.fromIterable(lines)
  }
}

/** Each piece that much later than it came. */
export const late = <E>(body: Bytes<E>, by: Duration.Input): Bytes<E> =>
  body.pipe(
    Stream.mapEffect((piece) => Effect.map(Clock.monotonicTimeNanos, (cameAt) => ({ piece, cameAt }))),
    Stream.buffer({ capacity: "unbounded" }),
    Stream.mapEffect(({ cameAt, piece }) =>
      Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
        const passed = Duration.nanos(now - cameAt)
        return Effect.as(Effect.sleep(Duration.subtract(Duration.fromInputUnsafe(by), passed)), piece)
      })
    )
  )

/** A few bytes at a time, with a pause before each. */
export const trickling = <E>(body: Bytes<E>, size: number, every: Duration.Input): Bytes<E> =>
  body.pipe(
    Stream.flatMap((piece) => Stream.fromIterable(slices(piece, size))),
    Stream.mapEffect((slice) => Effect.as(Effect.sleep(every), slice))
  )

const slices = (piece: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(piece.length / size) }, (_, index) => piece.subarray(index * size, (index + 1) * size))

export const first = <E>(body: Bytes<E>, count: number): Bytes<E> =>
  body.pipe(
    Stream.flatMap((piece) => Stream.fromIterable(slices(piece, 1))),
    Stream.take(count)
  )
