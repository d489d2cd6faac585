/**
 * Every lock there is passes the conformance suite: memory, and those of Kubernetes on the embedded API server.
 */
import { LeaseLock } from "@effect-leader/core"
import { LockConformance } from "@effect-leader/testkit"
import { describe, it } from "@effect/vitest"
import * as EmbeddedCluster from "../../../packages/kubernetes/test/EmbeddedCluster.ts"
import { kubernetesLocks } from "./kubernetesLocks.ts"

describe.concurrent("the lock in memory", () => {
  for (const { name, test } of LockConformance.cases({ layer: LeaseLock.layerMemory() })) it.effect(name, () => test)
})

kubernetesLocks("the embedded API server over HTTP", EmbeddedCluster.layer({ tls: false }))
