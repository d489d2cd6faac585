/**
 * What the statements of both databases answer. Tokens and sequence numbers are 64-bit integers there, bigints here.
 */
import { Schema, SchemaGetter } from "effect"

const Sequence = Schema.BigInt.pipe(
  Schema.decodeTo(Schema.Int, { decode: SchemaGetter.transform(Number), encode: SchemaGetter.transform(BigInt) })
)

const LoggedRow = Schema.Struct({ sequence: Sequence, key: Schema.String, value: Schema.String })
const EntryRow = Schema.Struct({ ...LoggedRow.fields, id: Schema.String, token: Schema.BigInt })

const NewestRow = Schema.Struct({ token: Schema.BigInt })
const NumberRow = Schema.Struct({ sequence: Sequence })

/** From statements that answer exactly one row. */
export const newest = Schema.decodeUnknownSync(Schema.Tuple([NewestRow]))
export const number = Schema.decodeUnknownSync(Schema.Tuple([NumberRow]))

export const logged = Schema.decodeUnknownSync(Schema.Array(LoggedRow))
export const values = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ sequence: Sequence, value: Schema.String }))
)
export const entries = Schema.decodeUnknownSync(Schema.Array(EntryRow))
