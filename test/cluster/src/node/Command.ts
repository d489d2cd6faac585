/**
 * What a container is started with: the program of its image, its variables, its volumes as folders, and a kubeconfig with
 * which it is its Pod's service account.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type { ProcessGuard } from "../ProcessGuard.ts"
import type * as Api from "./Api.ts"
import type * as Container from "./Container.ts"
import * as Images from "./Images.ts"
import { environmentOf, expand, mounted, Unfit, type ContainerSpec, type Pod, type Volume } from "./Pod.ts"

/** What all containers of a node share. */
export interface Node {
  readonly server: string
  readonly ca: string
  readonly images: Images.Images
  readonly guard: ProcessGuard
}

/** For one container of a Pod, which listens at `address`; `folder` is the Pod's own. */
export const of = (
  node: Node,
  api: Api.Api,
  pod: Pod,
  spec: ContainerSpec,
  address: string,
  folder: string
): Effect.Effect<Container.Command, { readonly reason: string; readonly message: string }> =>
  Effect.gen(function* () {
    const image = Images.find(node.images, spec.image)
    if (image === undefined) {
      return yield* new Unfit({ reason: "ErrImagePull", detail: `there is no image ${spec.image} in this cluster` })
    }
    const { namespace, uid } = pod.metadata
    const objects = yield* Effect.forEach(namesOf(pod, spec), ([kind, name]) =>
      api.get(`/api/v1/namespaces/${namespace}/${kind}/${name}`).pipe(
        Effect.flatMap(decodeData),
        Effect.map((object) => [`${kind}/${name}`, dataOf(kind, object)] as const),
        Effect.catchIf(
          (error) => error._tag === "ApiError" && error.status === 404,
          () => Effect.succeed([`${kind}/${name}`, undefined] as const)
        )
      )
    )
    const data = new Map(objects)
    const folders = new Map<string, string>()
    for (const volume of pod.spec.volumes ?? []) {
      const real = yield* folderOf(volume, folder, node.guard.folder, (name) => data.get(`configmaps/${name}`))
      folders.set(volume.name, real)
    }
    const env = yield* Effect.try({
      try: () => environmentOf(pod, spec, { address, folders, data: (kind, name) => data.get(`${kind}/${name}`) }),
      catch: (error) =>
        error instanceof Unfit ? error : new Unfit({ reason: "CreateContainerConfigError", detail: String(error) })
    })
    const kubeconfig = `${folder}/kubeconfig`
    yield* writeKubeconfig(node, api, pod, kubeconfig)
    const [program = "", ...args] = [...(spec.command ?? image.entrypoint), ...(spec.args ?? [])].map((word) =>
      mounted(spec, folders, expand(word, env))
    )
    return {
      // The Node that runs this is the one that the image would hold.
      program: program === "node" ? process.execPath : program,
      args,
      cwd: image.folder,
      env: {
        PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
        HOME: folder,
        HOSTNAME: pod.metadata.name,
        TMPDIR: folder,
        KUBECONFIG: kubeconfig,
        EFFECT_LEADER_POD_UID: uid,
        ...env
      }
    }
  }).pipe(
    Effect.mapError((error) => ({
      reason: error._tag === "Unfit" ? error.reason : "CreateContainerError",
      message: error.message
    }))
  )

/** A volume as a folder, which is made if it is not there. */
const folderOf = Effect.fnUntraced(function* (
  { configMap, emptyDir, hostPath, name }: Volume,
  podFolder: string,
  nodeFolder: string,
  configMaps: (name: string) => { readonly [key: string]: string } | undefined
) {
  const reason = "CreateContainerConfigError"
  const real = hostPath === undefined ? `${podFolder}/volumes/${name}` : `${nodeFolder}/host${hostPath.path}`
  mkdirSync(real, { recursive: true })
  if (configMap !== undefined) {
    const files = configMaps(configMap.name)
    if (files === undefined && configMap.optional !== true) {
      return yield* new Unfit({ reason, detail: `configmap ${JSON.stringify(configMap.name)} not found` })
    }
    for (const [file, text] of Object.entries(files ?? {})) writeFileSync(`${real}/${file}`, text)
  } else if (emptyDir === undefined && hostPath === undefined) {
    return yield* new Unfit({ reason, detail: `volume ${name} is no emptyDir, hostPath or configMap: not supported` })
  }
  return real
})

const namesOf = (
  pod: Pod,
  { env, envFrom }: ContainerSpec
): ReadonlyArray<readonly ["configmaps" | "secrets", string]> => {
  const found = [
    ...(pod.spec.volumes ?? []).map(({ configMap }) => ["configmaps", configMap?.name] as const),
    ...(envFrom ?? []).flatMap(({ configMapRef, secretRef }) => [
      ["configmaps", configMapRef?.name] as const,
      ["secrets", secretRef?.name] as const
    ]),
    ...(env ?? []).flatMap(({ valueFrom }) => [
      ["configmaps", valueFrom?.configMapKeyRef?.name] as const,
      ["secrets", valueFrom?.secretKeyRef?.name] as const
    ])
  ]
  return found.flatMap(([kind, name]) => (name === undefined ? [] : [[kind, name] as const]))
}

const decodeData = Schema.decodeUnknownEffect(
  Schema.Struct({ data: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)) })
)

const dataOf = (
  kind: "configmaps" | "secrets",
  { data = {} }: { readonly data?: { readonly [key: string]: string } }
): { readonly [key: string]: string } =>
  kind === "configmaps"
    ? data
    : Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]))

const decodeToken = Schema.decodeUnknownEffect(Schema.Struct({ status: Schema.Struct({ token: Schema.String }) }))

/** With a token of the Pod's service account, bound to the Pod, as a kubelet mounts one. */
const writeKubeconfig = Effect.fnUntraced(function* (node: Node, api: Api.Api, pod: Pod, path: string) {
  const { name, namespace, uid } = pod.metadata
  const account = pod.spec.serviceAccountName ?? "default"
  // The API server binds no token to a Pod that names no account: its admission, which would name one, is off.
  const bound =
    pod.spec.serviceAccountName === undefined ? {} : { boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid } }
  const { status } = yield* api
    .post(`/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: 86_400, ...bound }
    })
    .pipe(Effect.flatMap(decodeToken))
  const cluster = { server: node.server, "certificate-authority-data": Buffer.from(node.ca).toString("base64") }
  writeFileSync(
    path,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "pod",
      clusters: [{ name: "cluster", cluster }],
      users: [{ name: account, user: { token: status.token } }],
      contexts: [{ name: "pod", context: { cluster: "cluster", user: account, namespace } }]
    }),
    { mode: 0o600 }
  )
})
