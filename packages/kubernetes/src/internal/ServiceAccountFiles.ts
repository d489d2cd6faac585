/**
 * What the files of a pod's service account say of the pod: the namespace, and the claims of the token. The token is not
 * verified, since the pod reads its own. A file that is not there or makes no sense says nothing.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

const Named = Schema.Struct({ name: Schema.optionalKey(Schema.String), uid: Schema.optionalKey(Schema.String) })

/** A token that is bound to a pod names it; since Kubernetes 1.30 also its node. */
const Claims = Schema.Struct({
  namespace: Schema.optionalKey(Schema.String),
  pod: Schema.optionalKey(Named),
  node: Schema.optionalKey(Named)
})

/** The middle one of the three parts of a token. */
const Payload = Schema.StringFromBase64Url.pipe(
  Schema.decodeTo(Schema.fromJsonString(Schema.Struct({ "kubernetes.io": Claims })))
)

interface Claims extends Schema.Schema.Type<typeof Claims> {}

export const read = Effect.fnUntraced(function* (folder: string) {
  const namespace = yield* textOf(join(folder, "namespace"))
  const token = yield* textOf(join(folder, "token"))
  return { namespace, claims: claimsOf(token) }
})

const textOf = (path: string): Effect.Effect<string> =>
  Effect.tryPromise(() => readFile(path, "utf8")).pipe(
    Effect.map((text) => text.trim()),
    Effect.orElseSucceed(() => "")
  )

const decodePayload = Schema.decodeUnknownOption(Payload)

const claimsOf = (token: string): Claims =>
  Option.match(decodePayload(token.split(".")[1] ?? ""), {
    onNone: () => ({}),
    onSome: (claims) => claims["kubernetes.io"]
  })
