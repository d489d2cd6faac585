/**
 * What each request is authenticated with: headers, and the trust its connection is made with. client-node's KubeConfig
 * knows how (files that rotate, exec plugins, auth providers); this adds what it lacks: one exec plugin at a time however
 * many requests wait for it, and a fresh KubeConfig after a 401, since its caches outlive what they hold.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { KubeConfig } from "@kubernetes/client-node"
import type { RequestOptions } from "node:https"
import type { KubeConfigError } from "../KubeConfigError.ts"
import { NoCredential } from "../KubernetesError.ts"
import type { Trust } from "./ConnectionPool.ts"
import { sayCause } from "./KubeConfigFiles.ts"
import type { LoadedKubeConfig } from "./KubeConfigLoading.ts"

/** One reading of the kubeconfig. */
export interface Session {
  readonly config: LoadedKubeConfig
  /** The credential now. It may start a plugin; one that runs already is waited for. */
  readonly credential: Effect.Effect<Credential, NoCredential>
}

export interface Credential {
  readonly headers: Readonly<Record<string, string>>
  readonly trust: Trust
}

export interface Credentials {
  readonly session: () => Session
  /** Reads the kubeconfig again, unless that was done since `refused` was the session. */
  readonly renew: (refused: Session) => Effect.Effect<Session, KubeConfigError>
}

export const make = Effect.fnUntraced(function* (load: Effect.Effect<LoadedKubeConfig, KubeConfigError>) {
  const oneAtATime = yield* Semaphore.make(1)
  let session = open(yield* load)
  const credentials: Credentials = {
    session: () => session,
    renew: (refused) =>
      oneAtATime.withPermits(1)(
        Effect.gen(function* () {
          if (session === refused) session = open(yield* load)
          return session
        })
      )
  }
  return credentials
})

const patienceWithPlugin = 60_000

const open = (config: LoadedKubeConfig): Session => {
  // Shared and not interrupted with the request that began it: a plugin that is slower than a request's timeout is waited
  // for by the next request, not started again by each. One that never ends is given up, so that another can be tried.
  let running: Promise<Credential> | undefined
  let kubeConfig = config.makeKubeConfig()
  // It keeps what a plugin returned, also what it cannot use: the next request would fail by that and not ask the plugin.
  const startAfresh = () => {
    kubeConfig = config.makeKubeConfig()
  }
  const shared = (): Promise<Credential> => {
    if (running !== undefined) return running
    const mine = authenticate(kubeConfig).finally(forget)
    mine.catch(startAfresh)
    const giveUp = setTimeout(forget, patienceWithPlugin).unref()
    function forget() {
      clearTimeout(giveUp)
      if (running === mine) running = undefined
    }
    running = mine
    return mine
  }
  return {
    config,
    credential: Effect.tryPromise({
      try: shared,
      catch: (cause) => new NoCredential({ detail: `${config.credential}: ${sayCause(cause)}` })
    })
  }
}

/** Of client-node's words those that tell what is wrong, and never the plugin's output, which may be the secret. */
const pluginFailure = (cause: unknown): Error => {
  if (cause instanceof SyntaxError) return new Error("its output is not JSON")
  if (cause instanceof TypeError) return new Error("its output is no ExecCredential with a status")
  return new Error(sayCause(cause).trim() || "it failed and printed nothing to its standard error")
}

const authenticate = async (kubeConfig: KubeConfig): Promise<Credential> => {
  const options: RequestOptions & { readonly servername?: string; readonly rejectUnauthorized?: boolean } = {}
  const hasPlugin = Boolean(kubeConfig.getCurrentUser()?.exec)
  try {
    await kubeConfig.applyToHTTPSOptions(options)
  } catch (cause) {
    throw hasPlugin ? pluginFailure(cause) : cause
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    // Trimmed because a token file may end with a line break.
    if (value !== undefined) headers[name.toLowerCase()] = String(value).trim()
  }
  if (hasPlugin && headers["authorization"] === undefined && options.cert === undefined) {
    throw new Error("its output has neither a token nor a client certificate")
  }
  if (options.auth) headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`
  return {
    headers,
    trust: {
      ca: options.ca,
      cert: options.cert,
      key: options.key,
      servername: options.servername,
      rejectUnauthorized: options.rejectUnauthorized,
      proxy: kubeConfig.getCurrentCluster()?.proxyUrl || undefined
    }
  }
}
