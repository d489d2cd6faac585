/**
 * What one lock has seen of its Lease: the object behind each observation, so that a write can keep what is not its own
 * without reading again; the greatest fence, which an absent Lease cannot tell itself; and up to where the server has
 * forgotten its history.
 */
import type { LeaseLock } from "@effect-leader/core"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { KubernetesObject } from "../KubernetesObject.ts"
import * as LeaseObject from "./LeaseObject.ts"

export class LeaseObservations {
  readonly #objects = new WeakMap<LeaseLock.Observation, KubernetesObject>()
  #greatest = 0n
  #forgotten = 0n

  present(object: KubernetesObject): Result.Result<LeaseLock.Observation, LeaseLock.Malformed> {
    return Result.map(LeaseObject.read(object), ({ fence, record, uid, version }) => {
      const observation: LeaseLock.Observation = { record: Option.some(record), version, fence, uid }
      this.#objects.set(observation, object)
      this.#see(fence)
      return observation
    })
  }

  /** No Lease: all absences are one version, since a write against it compares with nothing but absence. */
  absent(deletedAt?: bigint): LeaseLock.Observation {
    if (deletedAt !== undefined) this.#see(deletedAt)
    return { record: Option.none(), version: "absent", fence: deletedAt ?? this.#greatest }
  }

  objectOf(observation: LeaseLock.Observation): KubernetesObject | undefined {
    return this.#objects.get(observation)
  }

  /** The server no longer knows what happened after this version. */
  forget(version: string): void {
    const forgotten = BigInt(version)
    if (forgotten > this.#forgotten) this.#forgotten = forgotten
  }

  isForgotten({ fence }: LeaseLock.Observation): boolean {
    return fence <= this.#forgotten
  }

  #see(fence: bigint) {
    if (fence > this.#greatest) this.#greatest = fence
  }
}
