/**
 * What clients really asked of the API server, in the server's own words: its audit log, cut down to the Leases, so that
 * a test can count the requests of a client by user, verb and user agent.
 *
 * A request appears before its answer is sent, except where noted. An ordinary request is one event (`ResponseComplete`).
 * A watch is one when it opens (`ResponseStarted`) and a second when it ends, both with the same `auditID`. What a killed
 * server was about to answer is in no log. The server's own requests (it keeps a Lease as well) are left out.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"

/** The policy file of the API server, as JSON, which is YAML too. The first rule that matches decides. */
export const policy = JSON.stringify({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", users: ["system:apiserver"] },
    { level: "Metadata", resources: [{ group: "coordination.k8s.io", resources: ["leases"] }] },
    { level: "None" }
  ]
})

/** One line of the log: the part of `audit.k8s.io/v1` Event that level Metadata fills and tests read. */
export class AuditEvent extends Schema.Class<AuditEvent>("AuditEvent")({
  auditID: Schema.String,
  stage: Schema.Literals(["ResponseStarted", "ResponseComplete", "Panic"]),
  verb: Schema.String,
  requestURI: Schema.String,
  user: Schema.Struct({ username: Schema.String }),
  userAgent: Schema.optionalKey(Schema.String),
  sourceIPs: Schema.Array(Schema.String),
  objectRef: Schema.optionalKey(
    Schema.Struct({
      namespace: Schema.optionalKey(Schema.String),
      name: Schema.optionalKey(Schema.String)
    })
  ),
  responseStatus: Schema.optionalKey(Schema.Struct({ code: Schema.optionalKey(Schema.Int) })),
  /** As it is written, with microseconds, which `DateTime` would cut off. */
  requestReceivedTimestamp: Schema.String,
  stageTimestamp: Schema.String
}) {}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(AuditEvent))

/** All events so far, in the order in which they were written. */
export const read = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<ReadonlyArray<AuditEvent>, PlatformError | Schema.SchemaError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  // Nothing was audited yet.
  if (!(yield* fs.exists(file))) return []
  // The last element is empty, or a line that is being written.
  const lines = (yield* fs.readFileString(file)).split("\n").slice(0, -1)
  return yield* Effect.forEach(lines, (line) => decode(line))
})
