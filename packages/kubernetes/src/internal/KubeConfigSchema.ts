/**
 * The shape of a kubeconfig file, as far as it has to be read to merge several and to tell what is wrong in them. What
 * authenticates (exec plugins, auth providers, tokens) is passed on to client-node as it is.
 */
import * as Schema from "effect/Schema"

const text = Schema.optionalKey(Schema.NullOr(Schema.String))
const unknownFields = [Schema.Record(Schema.String, Schema.Unknown)] as const

export const Cluster = Schema.StructWithRest(
  Schema.Struct({
    server: text,
    "insecure-skip-tls-verify": Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
    "certificate-authority": text,
    "certificate-authority-data": text,
    "tls-server-name": text,
    "proxy-url": text
  }),
  unknownFields
)

export const User = Schema.StructWithRest(
  Schema.Struct({
    "client-certificate": text,
    "client-certificate-data": text,
    "client-key": text,
    "client-key-data": text,
    token: text,
    tokenFile: text,
    username: text,
    password: text,
    as: text,
    exec: Schema.optionalKey(
      Schema.NullOr(Schema.StructWithRest(Schema.Struct({ command: Schema.NonEmptyString }), unknownFields))
    ),
    "auth-provider": Schema.optionalKey(
      Schema.NullOr(Schema.StructWithRest(Schema.Struct({ name: Schema.String }), unknownFields))
    )
  }),
  unknownFields
)

export const Context = Schema.StructWithRest(
  Schema.Struct({ cluster: text, user: text, namespace: text }),
  unknownFields
)

const list = <S extends Schema.Constraint>(entry: S) => Schema.optionalKey(Schema.NullOr(Schema.Array(entry)))

export const KubeConfigFile = Schema.Struct({
  "current-context": text,
  clusters: list(Schema.Struct({ name: Schema.String, cluster: Schema.optionalKey(Schema.NullOr(Cluster)) })),
  contexts: list(Schema.Struct({ name: Schema.String, context: Schema.optionalKey(Schema.NullOr(Context)) })),
  users: list(Schema.Struct({ name: Schema.String, user: Schema.optionalKey(Schema.NullOr(User)) }))
})

export interface KubeConfigFile extends Schema.Schema.Type<typeof KubeConfigFile> {}
export interface Cluster extends Schema.Schema.Type<typeof Cluster> {}
export interface User extends Schema.Schema.Type<typeof User> {}
export interface Context extends Schema.Schema.Type<typeof Context> {}
