/**
 * What the pods keep: values by key, and a log of all writes in one order. Two databases implement it, SQLite and
 * PostgreSQL, and one suite tests both (test/storeConformance.ts).
 *
 * Every write carries the fencing token of the term that it was accepted in. The store compares it, in the transaction
 * that writes, with the newest token it has seen: a leader that was paused, and wakes up after another has taken over,
 * is refused by the database itself, whatever it believes.
 */
import { Context, type Effect, type Option, type Result, Schema } from "effect"

export interface Write {
  /** Names this request. Whoever has got no answer sends it again under the same id, and it is there once. */
  readonly id: string
  readonly key: string
  readonly value: string
}

export interface Committed {
  /** The write's place in the one order of all writes: 1, 2, 3, ... without gaps. */
  readonly sequence: number
  /** The request was there already, from an earlier attempt. */
  readonly isRepeated: boolean
}

export interface Value {
  readonly value: string
  /** Of the write that set it. */
  readonly sequence: number
}

/** One write in the log. */
export interface Entry extends Write {
  readonly sequence: number
  readonly token: bigint
}

/** A term came with an older token than the newest that the store has seen. Nothing was written. */
export class StaleToken extends Schema.TaggedError<StaleToken>()("StaleToken", {
  token: Schema.BigInt,
  newest: Schema.BigInt
}) {
  override get message(): string {
    return `token ${this.token} is refused, nothing was written: the store has seen token ${this.newest} of a newer term`
  }
}

/** A request id came with another key or value than before. Nothing was written. */
export class RequestReused extends Schema.TaggedError<RequestReused>()("RequestReused", {
  id: Schema.String,
  sequence: Schema.Int
}) {
  override get message(): string {
    return `request id ${JSON.stringify(this.id)} was used for another write, number ${this.sequence}: give each write its own`
  }
}

/**
 * The database did not do it. A write may still be there, if only the answer to its commit was lost: send it again under
 * the same id.
 */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  /** Names the database, without a password. */
  store: Schema.String,
  operation: Schema.Literals(["open", "raise", "put", "get", "entries"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.store}: ${this.operation} failed: ${this.detail}`
  }
}

/** What a transaction that writes came to. */
export type Outcome = Result.Result<Committed, StaleToken | RequestReused>

export class Store extends Context.Service<
  Store,
  {
    /**
     * Shuts out all older terms, from now on. A leader does it when its term begins, so that its predecessor can write
     * nothing more even before the first write of the new term.
     */
    readonly raise: (token: bigint) => Effect.Effect<void, StaleToken | StoreError>
    /** Returns once the write is committed to disk. */
    readonly put: (token: bigint, write: Write) => Effect.Effect<Committed, StaleToken | RequestReused | StoreError>
    readonly get: (key: string) => Effect.Effect<Option.Option<Value>, StoreError>
    /** At most `limit` writes in their order, from the one that follows number `after`. */
    readonly entries: (after: number, limit: number) => Effect.Effect<ReadonlyArray<Entry>, StoreError>
  }
>()("leader-follower-store/Store") {}
