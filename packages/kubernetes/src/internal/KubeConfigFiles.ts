/**
 * Finds the kubeconfig as kubectl does, and reads it: the files of KUBECONFIG (the first that sets something wins), else
 * ~/.kube/config, else the pod's service account. client-node's own search is not used because it ends at
 * http://localhost:8080 when nothing is found, fails on one cluster named in two files, and takes `token-file` for
 * `tokenFile`.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { readFile } from "node:fs/promises"
import { delimiter, dirname, join, resolve, sep } from "node:path"
import { KubeConfigError } from "../KubeConfigError.ts"
import { KubeConfigFile, type Cluster, type Context, type User } from "./KubeConfigSchema.ts"
import { sayIssues } from "./SchemaText.ts"

/** Where to look. */
export interface Surroundings {
  /** The value of KUBECONFIG: paths, separated as in PATH. */
  readonly kubeconfig: string | undefined
  readonly home: string | undefined
  /** The folder with the pod's token, ca.crt and namespace. */
  readonly serviceAccount: string
  /** KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. */
  readonly serviceHost: string | undefined
  readonly servicePort: string | undefined
}

/** The process's own. */
export const processSurroundings = (): Surroundings => ({
  kubeconfig: process.env["KUBECONFIG"],
  // As kubectl, not `os.homedir()`, which throws for a user without an entry in passwd, as containers have.
  home: process.env["HOME"] || process.env["USERPROFILE"],
  serviceAccount: "/var/run/secrets/kubernetes.io/serviceaccount",
  serviceHost: process.env["KUBERNETES_SERVICE_HOST"],
  servicePort: process.env["KUBERNETES_SERVICE_PORT"]
})

/** An entry, and what to call the place it is from. */
export interface Sourced<A> {
  readonly value: A
  readonly source: string
}

/** What the files say together. Paths are absolute. */
export interface Merged {
  readonly source: string
  readonly currentContext: string | undefined
  readonly clusters: ReadonlyMap<string, Sourced<Cluster>>
  readonly contexts: ReadonlyMap<string, Sourced<Context>>
  readonly users: ReadonlyMap<string, Sourced<User>>
}

/** A YAML parser: client-node's, so that it is not loaded twice. */
export type ParseYaml = (text: string) => unknown

export const find = Effect.fnUntraced(function* (parseYaml: ParseYaml, surroundings: Surroundings) {
  const named = (surroundings.kubeconfig ?? "").split(delimiter).filter((path) => path !== "")
  if (named.length > 0) return yield* readAll(parseYaml, named)

  const usual = join(surroundings.home ?? "~", ".kube", "config")
  const text = surroundings.home ? yield* readIfThere(usual) : undefined
  if (text !== undefined && !isBlank(text)) return merge([yield* parse(parseYaml, usual, text)])

  const token = join(surroundings.serviceAccount, "token")
  const { serviceHost, servicePort } = surroundings
  if (serviceHost && servicePort && (yield* readIfThere(token)) !== undefined) {
    return yield* inCluster(surroundings.serviceAccount, serviceHost, servicePort)
  }
  return yield* new KubeConfigError({
    source: "(none)",
    rule:
      `nothing to read: KUBECONFIG is not set, ${usual} does not exist or is empty, and this is no pod with a service account ` +
      `(that has KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT set, and ${token})`
  })
})

/** One file that must be there. */
export const readOne = (parseYaml: ParseYaml, path: string) => readAll(parseYaml, [path])

// As kubectl, a list may name files that do not exist or are empty, as long as one says something.
const readAll = Effect.fnUntraced(function* (parseYaml: ParseYaml, paths: ReadonlyArray<string>) {
  const files: Array<Sourced<KubeConfigFile>> = []
  for (const path of paths) {
    const text = yield* readIfThere(path)
    if (text === undefined || (isBlank(text) && paths.length > 1)) continue
    files.push(yield* parse(parseYaml, path, text))
  }
  if (files.length > 0) return merge(files)
  return yield* new KubeConfigError({
    source: paths.join(delimiter),
    rule: paths.length === 1 ? "the file does not exist" : "none of these files exists and says something"
  })
})

const readIfThere = (path: string): Effect.Effect<string | undefined, KubeConfigError> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) => cause
  }).pipe(
    Effect.catch((cause) =>
      isMissing(cause)
        ? Effect.succeed(undefined)
        : Effect.fail(new KubeConfigError({ source: path, rule: `cannot be read: ${sayCause(cause)}` }))
    )
  )

const isMissing = (cause: unknown): boolean => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  return code === "ENOENT" || code === "ENOTDIR"
}

/** The message of what was thrown. */
export const sayCause = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const decode = Schema.decodeUnknownResult(KubeConfigFile)

const parse = (
  parseYaml: ParseYaml,
  source: string,
  text: string
): Effect.Effect<Sourced<KubeConfigFile>, KubeConfigError> =>
  Effect.gen(function* () {
    if (isBlank(text)) return yield* new KubeConfigError({ source, rule: "the file is empty" })
    const raw = yield* Effect.try({
      try: () => parseYaml(text),
      catch: (cause) => new KubeConfigError({ source, rule: `is not YAML: ${firstLine(sayCause(cause))}` })
    })
    const decoded = decode(raw)
    if (Result.isFailure(decoded)) {
      return yield* new KubeConfigError({ source, rule: sayIssues(decoded.failure) })
    }
    return { source, value: decoded.success }
  })

const isBlank = (text: string): boolean => text.trim() === ""

// The lines after the first one show the text around the error, which may be a secret.
const firstLine = (text: string): string => text.split("\n", 1)[0] ?? ""

const merge = (files: ReadonlyArray<Sourced<KubeConfigFile>>): Merged => {
  const clusters = new Map<string, Sourced<Cluster>>()
  const contexts = new Map<string, Sourced<Context>>()
  const users = new Map<string, Sourced<User>>()
  for (const { source, value } of files) {
    const from = dirname(source)
    for (const { cluster, name } of value.clusters ?? []) {
      if (!clusters.has(name)) clusters.set(name, { source, value: absolute(from, cluster ?? {}, clusterPaths) })
    }
    for (const { context, name } of value.contexts ?? []) {
      if (!contexts.has(name)) contexts.set(name, { source, value: context ?? {} })
    }
    for (const { name, user } of value.users ?? []) {
      if (!users.has(name)) users.set(name, { source, value: absoluteUser(from, user ?? {}) })
    }
  }
  const currentContext = files.map(({ value }) => value["current-context"]).find((name) => name)
  return {
    source: files.map(({ source }) => source).join(delimiter),
    currentContext: currentContext ?? undefined,
    clusters,
    contexts,
    users
  }
}

const clusterPaths = ["certificate-authority"]
const userPaths = ["client-certificate", "client-key", "tokenFile"]

const absolute = <A extends { readonly [field: string]: unknown }>(
  from: string,
  entry: A,
  fields: ReadonlyArray<string>
): A => {
  const paths = fields.flatMap((field): Array<[string, string]> => {
    const path = entry[field]
    return typeof path === "string" && path !== "" ? [[field, resolve(from, path)]] : []
  })
  return { ...entry, ...Object.fromEntries(paths) }
}

// A plugin that is named by a path, not looked up in PATH, is relative to the file too.
const absoluteUser = (from: string, user: User): User => {
  const { exec, ...rest } = absolute(from, user, userPaths)
  if (!exec) return rest
  return { ...rest, exec: exec.command.includes(sep) ? { ...exec, command: resolve(from, exec.command) } : exec }
}

const inCluster = Effect.fnUntraced(function* (folder: string, host: string, port: string) {
  const source = `of the pod's service account (${folder})`
  const namespace = yield* readIfThere(join(folder, "namespace"))
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`
  const here = <A>(value: A) => new Map([["in-cluster", { source, value }]])
  const merged: Merged = {
    source,
    currentContext: "in-cluster",
    clusters: here({ server, "certificate-authority": join(folder, "ca.crt") }),
    contexts: here({ cluster: "in-cluster", user: "in-cluster", namespace: (namespace ?? "").trim() }),
    users: here({ tokenFile: join(folder, "token") })
  }
  return merged
})
