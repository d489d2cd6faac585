/** The embedded API server as a cluster to test on, over HTTP and HTTPS. */
import { EmbeddedApiServer } from "@effect-leader/testkit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { adminOf, TestCluster } from "./TestCluster.ts"

/** A folder that is gone when the scope ends. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-leader-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const lease = "only-this"

export const layer = (options: { readonly tls: boolean }) =>
  Layer.effect(
    TestCluster,
    Effect.gen(function* () {
      const server = yield* EmbeddedApiServer.EmbeddedApiServer
      const folder = yield* temporaryFolder
      const kubeconfig = join(folder, "admin")
      const restricted = join(folder, "restricted")
      yield* server.writeKubeconfig(kubeconfig, "admin")
      yield* server.writeKubeconfig(restricted, "candidate")
      return { kubeconfig, admin: adminOf(kubeconfig), restricted: { kubeconfig: restricted, lease } }
    })
  ).pipe(
    Layer.provide(
      EmbeddedApiServer.layer({
        ...options,
        users: { admin: { name: "admin", groups: ["system:masters"] }, candidate: { name: "candidate" } },
        rbac: {
          candidate: [
            {
              apiGroups: ["coordination.k8s.io"],
              resources: ["leases"],
              resourceNames: [lease],
              verbs: ["get", "watch", "update", "create"],
              namespace: "default"
            }
          ]
        }
      })
    )
  )
