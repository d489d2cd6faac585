/**
 * For how long two terms both worked, by their journals alone. A process that stands still does not work, so a pause
 * counts for nobody.
 */
import type { Pause, Term } from "@effect-leader/test-end-to-end/src/History.ts"

/** In nanoseconds. */
export const overlapOf = (a: Term, b: Term, pauses: ReadonlyArray<Pause>): bigint =>
  spansOf(a, pauses)
    .flatMap((left) => spansOf(b, pauses).map((right) => common(left, right)))
    .reduce((sum, span) => sum + span, 0n)

interface Span {
  readonly from: bigint
  readonly until: bigint
}

/** When it worked: the term without its pauses. */
const spansOf = (term: Term, pauses: ReadonlyArray<Pause>): ReadonlyArray<Span> =>
  pauses
    .filter(({ pid }) => pid === term.pid)
    .reduce<ReadonlyArray<Span>>(
      (spans, pause) =>
        spans.flatMap(({ from, until }) => [
          { from, until: earlier(until, pause.from) },
          ...(pause.until === undefined ? [] : [{ from: later(from, pause.until), until }])
        ]),
      [{ from: term.startedAt, until: term.workedUntil }]
    )
    .filter(({ from, until }) => from < until)

const common = (a: Span, b: Span): bigint => later(0n, earlier(a.until, b.until) - later(a.from, b.from))

const earlier = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const later = (a: bigint, b: bigint): bigint => (a > b ? a : b)
