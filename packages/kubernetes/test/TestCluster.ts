/**
 * A Kubernetes API server that tests run on, whichever it is, and an administrator who changes things behind the back of
 * the code under test with plain requests.
 */
import { KubeConfig } from "@kubernetes/client-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import * as Https from "node:https"

export interface Answer {
  readonly status: number
  readonly body: JsonObject
}

export interface JsonObject {
  readonly [field: string]: unknown
}

export interface Admin {
  readonly request: (method: string, path: string, body?: unknown) => Effect.Effect<Answer>
}

export class TestCluster extends Context.Service<
  TestCluster,
  {
    /** The kubeconfig file of an administrator; its default namespace is `default`. */
    readonly kubeconfig: string
    readonly admin: Admin
    /**
     * The kubeconfig file of a user who has nothing but this rule in the namespace `default`:
     * `{apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [LEASE], verbs: [get, watch, update, create]}`
     */
    readonly restricted: { readonly kubeconfig: string; readonly lease: string }
  }
>()("@effect-leader/kubernetes/test/TestCluster") {}

/** The administrator of a kubeconfig file. */
export const adminOf = (kubeconfig: string): Admin => {
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  const server = config.getCurrentCluster()?.server ?? ""
  return {
    request: (method, path, body) =>
      Effect.promise(async () => {
        const options: Https.RequestOptions = { method, headers: { "content-type": "application/json" } }
        await config.applyToHTTPSOptions(options)
        return await new Promise<Answer>((resolve, reject) => {
          const request = (server.startsWith("https:") ? Https : Http).request(server + path, options, (response) => {
            const chunks: Array<Buffer> = []
            response.on("data", (chunk: Buffer) => chunks.push(chunk))
            response.on("error", reject)
            response.on("end", () => {
              const parsed: JsonObject = JSON.parse(Buffer.concat(chunks).toString("utf8"))
              resolve({ status: response.statusCode ?? 0, body: parsed })
            })
          })
          request.on("error", reject)
          request.end(body === undefined ? undefined : JSON.stringify(body))
        })
      })
  }
}

const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

/** What the administrator does to Leases in the namespace `default`. */
export const leasesOf = ({ request }: Admin) => ({
  get: (name: string) => Effect.map(request("GET", `${leases}/${name}`), ({ body }) => body),
  delete: (name: string) => Effect.asVoid(request("DELETE", `${leases}/${name}`)),
  create: (name: string, spec?: unknown, metadata?: object) =>
    request("POST", leases, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, ...metadata },
      ...(spec === undefined ? {} : { spec })
    }),
  /** Replaces the Lease as it is now by what `change` makes of it. */
  edit: (name: string, change: (lease: JsonObject) => JsonObject) =>
    Effect.flatMap(request("GET", `${leases}/${name}`), ({ body }) => request("PUT", `${leases}/${name}`, change(body)))
})
