/**
 * From the kubeconfig to what a connection needs: the current context is resolved and every part of it checked here, at
 * the edge, so that what is wrong is told with file, field and rule when the layer is built, and not as a failed renewal
 * later. What passes is given to client-node's KubeConfig, which authenticates.
 */
import type { KubeConfig } from "@kubernetes/client-node"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import { KubeConfigError } from "../KubeConfigError.ts"
import { sayCause, type Merged, type Sourced } from "./KubeConfigFiles.ts"
import type { Cluster, User } from "./KubeConfigSchema.ts"

/** A kubeconfig that passed every check that needs no server. */
export interface LoadedKubeConfig {
  /** A new one each time: it keeps the credentials that it was given. */
  readonly makeKubeConfig: () => KubeConfig
  /** Where it was found, for messages. */
  readonly source: string
  /** Without a slash at the end. */
  readonly server: string
  /** The default namespace: the context's, else "default". */
  readonly namespace: string
  /** What the server is shown, for messages: never the secret itself. */
  readonly credential: string
}

export const load = Effect.fnUntraced(function* (makeKubeConfig: () => KubeConfig, merged: Merged) {
  const context = yield* currentContext(merged)
  const cluster = yield* referred(context, "cluster", merged.clusters)
  // client-node forgets the certificate authority where a context has no user: an empty user keeps it.
  const nobody: Entry<User> = { source: merged.source, path: "no user", value: {} }
  const user = context.value.user ? yield* referred(context, "user", merged.users) : nobody

  const server = yield* checkServer(cluster, user)
  yield* checkProxy(cluster)
  yield* checkUser(user)
  yield* checkCertificates(cluster, user)

  const namespace = context.value.namespace || "default"
  // JSON is YAML, and with one entry of each kind no unrelated entry that is broken can get in the way.
  const current = JSON.stringify(onlyCurrent(cluster.value, user.value))
  const makeLoaded = () => {
    const made = makeKubeConfig()
    made.loadFromString(current)
    return made
  }
  yield* Effect.try({
    try: makeLoaded,
    catch: (cause) => new KubeConfigError({ source: merged.source, rule: sayCause(cause) })
  })
  const loaded: LoadedKubeConfig = {
    makeKubeConfig: makeLoaded,
    source: merged.source,
    server,
    namespace,
    credential: sayCredential(user)
  }
  return loaded
})

/** An entry of the kubeconfig that is in use, and how to name its fields. */
interface Entry<A> extends Sourced<A> {
  readonly path: string
}

const wrong = (entry: Entry<unknown>, field: string, rule: string) =>
  Effect.fail(new KubeConfigError({ source: entry.source, field: `${entry.path}.${field}`, rule }))

const currentContext = Effect.fnUntraced(function* (merged: Merged) {
  const { contexts, currentContext: name, source } = merged
  const field = "current-context"
  if (name === undefined) {
    const rule = `missing: it must name one of the contexts (${sayNames(contexts)})`
    return yield* new KubeConfigError({ source, field, rule })
  }
  const found = contexts.get(name)
  if (found === undefined) {
    const rule = `${JSON.stringify(name)} is none of the contexts (${sayNames(contexts)})`
    return yield* new KubeConfigError({ source, field, rule })
  }
  return { ...found, path: `contexts[${JSON.stringify(name)}]` }
})

const referred = <A>(
  context: Entry<{ readonly [kind: string]: unknown }>,
  kind: "cluster" | "user",
  entries: ReadonlyMap<string, Sourced<A>>
): Effect.Effect<Entry<A>, KubeConfigError> => {
  const name = context.value[kind]
  if (typeof name !== "string" || name === "") {
    return wrong(context, kind, `missing: it must name one of the ${kind}s (${sayNames(entries)})`)
  }
  const found = entries.get(name)
  return found === undefined
    ? wrong(context, kind, `${JSON.stringify(name)} is none of the ${kind}s (${sayNames(entries)})`)
    : Effect.succeed({ ...found, path: `${kind}s[${JSON.stringify(name)}]` })
}

const sayNames = (entries: ReadonlyMap<string, unknown>): string =>
  entries.size === 0 ? "there is none" : [...entries.keys()].map((name) => JSON.stringify(name)).join(", ")

const checkServer = (cluster: Entry<Cluster>, user: Entry<User>): Effect.Effect<string, KubeConfigError> => {
  const { server } = cluster.value
  if (!server) return wrong(cluster, "server", "missing: it must be the URL of the API server")
  const url = URL.parse(server)
  // Before any message that shows the URL.
  if (url?.username || url?.password || url?.search || url?.hash) {
    const rule =
      "must be a URL without user name, password, query and fragment (a password belongs to the user's entry)"
    return wrong(cluster, "server", rule)
  }
  const protocol = url?.protocol
  if (protocol !== "https:" && protocol !== "http:") {
    return wrong(cluster, "server", `${JSON.stringify(server)} is not an https:// or http:// URL`)
  }
  const isMeant = cluster.value["insecure-skip-tls-verify"] === true || credentialsOf(user.value).length === 0
  if (protocol === "http:" && !isMeant) {
    return wrong(
      cluster,
      "server",
      `${JSON.stringify(server)} would send credentials in clear text: ` +
        "use https://, or set insecure-skip-tls-verify: true beside it if that is meant"
    )
  }
  return Effect.succeed(server.replace(/\/+$/, ""))
}

const checkProxy = (cluster: Entry<Cluster>): Effect.Effect<void, KubeConfigError> => {
  const proxy = cluster.value["proxy-url"]
  const protocol = proxy ? URL.parse(proxy)?.protocol : "http:"
  return protocol === "http:" || protocol === "https:"
    ? Effect.void
    : wrong(cluster, "proxy-url", "must be an http:// or https:// URL (SOCKS proxies are not supported)")
}

const notSupported = ["as-groups", "as-uid", "as-user-extra"]

const checkUser = Effect.fnUntraced(function* (user: Entry<User>) {
  const impersonation = notSupported.find((field) => user.value[field] != null)
  if (impersonation !== undefined) {
    return yield* wrong(user, impersonation, "is not supported, and without it the rights would be others than meant")
  }
  if (user.value.tokenFile) {
    const token = yield* content(user, "tokenFile", user.value.tokenFile)
    if (token.toString("utf8").trim() === "") return yield* wrong(user, "tokenFile", "the file is empty")
  }
})

const checkCertificates = Effect.fnUntraced(function* (cluster: Entry<Cluster>, user: Entry<User>) {
  const ca = yield* fileOrData(cluster, "certificate-authority", cluster.value)
  if (ca !== undefined) yield* usable(cluster, "certificate-authority", () => new X509Certificate(ca))

  const cert = yield* fileOrData(user, "client-certificate", user.value)
  const key = yield* fileOrData(user, "client-key", user.value)
  if (cert !== undefined && key === undefined)
    return yield* wrong(user, "client-key", "missing beside client-certificate")
  if (cert === undefined && key !== undefined)
    return yield* wrong(user, "client-certificate", "missing beside client-key")
  if (cert !== undefined) yield* usable(user, "client-certificate", () => createSecureContext({ cert, key }))
})

const fileOrData = (
  entry: Entry<{ readonly [field: string]: unknown }>,
  field: string,
  { [field]: path, [`${field}-data`]: data }: { readonly [field: string]: unknown }
): Effect.Effect<Buffer | undefined, KubeConfigError> => {
  if (typeof path === "string" && path !== "") return content(entry, field, path)
  return Effect.succeed(typeof data === "string" && data !== "" ? Buffer.from(data, "base64") : undefined)
}

const content = (entry: Entry<unknown>, field: string, path: string): Effect.Effect<Buffer, KubeConfigError> =>
  Effect.tryPromise({ try: () => readFile(path), catch: sayCause }).pipe(
    Effect.catch((said) => wrong(entry, field, `cannot be read: ${said}`))
  )

const usable = (entry: Entry<unknown>, field: string, read: () => unknown): Effect.Effect<void, KubeConfigError> =>
  Effect.try({ try: () => void read(), catch: sayCause }).pipe(
    Effect.catch((said) => wrong(entry, field, `(or its -data) is not usable PEM: ${said}`))
  )

const onlyCurrent = (cluster: Cluster, user: User) => ({
  apiVersion: "v1",
  kind: "Config",
  "current-context": "current",
  contexts: [{ name: "current", context: { cluster: "current", user: "current" } }],
  clusters: [{ name: "current", cluster: withoutTls(cluster) }],
  users: [{ name: "current", user: withTokenFile(withExecInfo(user)) }]
})

// client-node wants it said that there is nothing to verify.
const withoutTls = (cluster: Cluster): Cluster =>
  cluster.server?.startsWith("http:") ? { ...cluster, "insecure-skip-tls-verify": true } : cluster

// As kubectl tells a plugin who asks: client-node does not, and some plugins fail without it.
const withExecInfo = ({ exec, ...rest }: User): User => {
  if (!exec) return rest
  const info = { kind: "ExecCredential", apiVersion: exec["apiVersion"], spec: { interactive: false } }
  const env: ReadonlyArray<unknown> = Array.isArray(exec["env"]) ? exec["env"] : []
  return { ...rest, exec: { ...exec, env: [...env, { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) }] } }
}

// client-node reads a token again and again from an authProvider of this name only. The file wins over a token beside it,
// as with kubectl.
const withTokenFile = ({ token, tokenFile, ...rest }: User): User =>
  tokenFile
    ? { ...rest, "auth-provider": { name: "tokenFile", config: { tokenFile } } }
    : { ...rest, token: token ?? null }

const sayCredential = ({ path, source, value }: Entry<User>): string => {
  const kinds = credentialsOf(value)
  return `${kinds.length === 0 ? "nothing (anonymous)" : kinds.join(" and ")}, by ${path} of ${source}`
}

const credentialsOf = (user: User): ReadonlyArray<string> =>
  [
    user.tokenFile ? `the token in ${user.tokenFile}` : user.token ? "a token" : "",
    user.exec ? `what the plugin ${user.exec.command} returns` : "",
    user["auth-provider"] ? `what the auth-provider ${user["auth-provider"].name} returns` : "",
    user["client-certificate"] || user["client-certificate-data"] ? "a client certificate" : "",
    user.username ? "a user name with password" : ""
  ].filter((kind) => kind !== "")
