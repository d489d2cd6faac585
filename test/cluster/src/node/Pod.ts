/**
 * The part of a Pod object that the node agent reads, and what its containers get from it.
 */
import * as Schema from "effect/Schema"

const KeyRef = Schema.Struct({ name: Schema.String, key: Schema.String, optional: Schema.optionalKey(Schema.Boolean) })

const Variable = Schema.Struct({
  name: Schema.String,
  value: Schema.optionalKey(Schema.String),
  valueFrom: Schema.optionalKey(
    Schema.Struct({
      fieldRef: Schema.optionalKey(Schema.Struct({ fieldPath: Schema.String })),
      configMapKeyRef: Schema.optionalKey(KeyRef),
      secretKeyRef: Schema.optionalKey(KeyRef)
    })
  )
})

const Source = Schema.Struct({ name: Schema.String, optional: Schema.optionalKey(Schema.Boolean) })

const ProbeSpec = Schema.Struct({
  httpGet: Schema.optionalKey(
    Schema.Struct({
      path: Schema.optionalKey(Schema.String),
      port: Schema.Union([Schema.Int, Schema.String])
    })
  ),
  initialDelaySeconds: Schema.optionalKey(Schema.Int),
  periodSeconds: Schema.optionalKey(Schema.Int),
  timeoutSeconds: Schema.optionalKey(Schema.Int),
  failureThreshold: Schema.optionalKey(Schema.Int)
})

const ContainerSpec = Schema.Struct({
  name: Schema.String,
  image: Schema.String,
  command: Schema.optionalKey(Schema.Array(Schema.String)),
  args: Schema.optionalKey(Schema.Array(Schema.String)),
  env: Schema.optionalKey(Schema.Array(Variable)),
  envFrom: Schema.optionalKey(
    Schema.Array(Schema.Struct({ configMapRef: Schema.optionalKey(Source), secretRef: Schema.optionalKey(Source) }))
  ),
  ports: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: Schema.optionalKey(Schema.String), containerPort: Schema.Int }))
  ),
  volumeMounts: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, mountPath: Schema.String }))),
  readinessProbe: Schema.optionalKey(ProbeSpec),
  livenessProbe: Schema.optionalKey(ProbeSpec)
})

const Labels = Schema.Record(Schema.String, Schema.String)

export class Pod extends Schema.Class<Pod>("Pod")({
  metadata: Schema.Struct({
    name: Schema.String,
    namespace: Schema.String,
    uid: Schema.String,
    resourceVersion: Schema.String,
    labels: Schema.optionalKey(Labels),
    annotations: Schema.optionalKey(Labels),
    deletionTimestamp: Schema.optionalKey(Schema.String),
    deletionGracePeriodSeconds: Schema.optionalKey(Schema.Int)
  }),
  spec: Schema.Struct({
    nodeName: Schema.optionalKey(Schema.String),
    serviceAccountName: Schema.optionalKey(Schema.String),
    restartPolicy: Schema.optionalKey(Schema.Literals(["Always", "OnFailure", "Never"])),
    containers: Schema.Array(ContainerSpec),
    volumes: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({
          name: Schema.String,
          hostPath: Schema.optionalKey(Schema.Struct({ path: Schema.String })),
          configMap: Schema.optionalKey(
            Schema.Struct({ name: Schema.String, optional: Schema.optionalKey(Schema.Boolean) })
          ),
          emptyDir: Schema.optionalKey(Schema.Unknown)
        })
      )
    )
  })
}) {
  static readonly decode = Schema.decodeUnknownEffect(Pod)

  get isDeleted(): boolean {
    return this.metadata.deletionTimestamp !== undefined
  }
}

export type ContainerSpec = typeof ContainerSpec.Type
export type ProbeSpec = typeof ProbeSpec.Type
export type Volume = NonNullable<Pod["spec"]["volumes"]>[number]

/** Something that the spec asks for is not there, or is more than this small agent can do. */
export class Unfit extends Schema.TaggedError<Unfit>()("Unfit", { reason: Schema.String, detail: Schema.String }) {
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

export interface Surroundings {
  /** Where the process listens. */
  readonly address: string
  /** The real folder of each volume. */
  readonly folders: ReadonlyMap<string, string>
  /** The data of a ConfigMap or Secret that exists. */
  readonly data: (kind: "configmaps" | "secrets", name: string) => { readonly [key: string]: string } | undefined
}

/** The variables of a container, in the order in which later ones may refer to earlier ones. Throws `Unfit`. */
export const environmentOf = (
  pod: Pod,
  container: ContainerSpec,
  { address, data, folders }: Surroundings
): { readonly [name: string]: string } => {
  const found: Record<string, string> = {}
  const need = (kind: "configmaps" | "secrets", name: string, optional: boolean | undefined) => {
    const held = data(kind, name)
    if (held === undefined && optional !== true) {
      throw new Unfit({ reason: "CreateContainerConfigError", detail: `${kind} ${JSON.stringify(name)} not found` })
    }
    return held ?? {}
  }
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) Object.assign(found, need("configmaps", configMapRef.name, configMapRef.optional))
    if (secretRef) Object.assign(found, need("secrets", secretRef.name, secretRef.optional))
  }
  const key = (kind: "configmaps" | "secrets", ref: typeof KeyRef.Type | undefined) => {
    if (ref === undefined) return undefined
    const value = need(kind, ref.name, ref.optional)[ref.key]
    if (value === undefined && ref.optional !== true) {
      throw new Unfit({ reason: "CreateContainerConfigError", detail: `${kind} ${ref.name} has no key ${ref.key}` })
    }
    return value
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const resolved =
      valueFrom === undefined
        ? expand(value ?? "", found)
        : valueFrom.fieldRef !== undefined
          ? field(pod, valueFrom.fieldRef.fieldPath, address)
          : (key("configmaps", valueFrom.configMapKeyRef) ?? key("secrets", valueFrom.secretKeyRef))
    if (resolved !== undefined) found[name] = resolved
  }
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, mounted(container, folders, value)]))
}

/** `$(NAME)` as Kubernetes expands it; a name that is not known stays as it is. */
export const expand = (text: string, env: { readonly [name: string]: string }): string =>
  text.replaceAll(/\$\$|\$\(([^)]+)\)/g, (whole, name: string | undefined) =>
    name === undefined ? "$" : (env[name] ?? whole)
  )

/**
 * A process has no file system of its own: where a value names a path in a volume, it gets the volume's real one. What
 * the program writes into its source cannot be rewritten, so it has to take its paths from the environment.
 */
export const mounted = (container: ContainerSpec, folders: ReadonlyMap<string, string>, value: string): string => {
  const mount = container.volumeMounts?.find(
    ({ mountPath }) => value === mountPath || value.startsWith(`${mountPath}/`)
  )
  const folder = mount === undefined ? undefined : folders.get(mount.name)
  return mount === undefined || folder === undefined ? value : folder + value.slice(mount.mountPath.length)
}

const field = ({ metadata, spec }: Pod, path: string, address: string): string => {
  const [, map, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? []
  if (map === "labels" && key !== undefined) return metadata.labels?.[key] ?? ""
  if (map === "annotations" && key !== undefined) return metadata.annotations?.[key] ?? ""
  switch (path) {
    case "metadata.name":
      return metadata.name
    case "metadata.namespace":
      return metadata.namespace
    case "metadata.uid":
      return metadata.uid
    case "spec.nodeName":
      return spec.nodeName ?? ""
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "default"
    case "status.podIP":
    case "status.podIPs":
      return address
    case "status.hostIP":
      return "127.0.0.1"
    default:
      throw new Unfit({ reason: "CreateContainerConfigError", detail: `fieldPath ${path} is not supported` })
  }
}
