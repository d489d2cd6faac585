/**
 * What one lock has seen of its object: the object behind each observation, so that a write can keep what is not its own
 * without reading again; the greatest fence, which an absent object cannot tell itself; and up to where the server has
 * forgotten its history.
 */
import type { LeaseLock } from "@effect-leader/core"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { KubernetesObject } from "../KubernetesObject.ts"
import * as LockObject from "./LockObject.ts"

const absentVersion = "absent"

/** There is no object, which is less than an object without a record. */
export const isAbsent = ({ version }: LeaseLock.Observation): boolean => version === absentVersion

export class ObjectObservations {
  readonly #form: LockObject.RecordForm
  readonly #objects = new WeakMap<LeaseLock.Observation, KubernetesObject>()
  #greatest = 0n
  #forgotten = 0n

  constructor(form: LockObject.RecordForm) {
    this.#form = form
  }

  present(object: KubernetesObject): Result.Result<LeaseLock.Observation, LeaseLock.Malformed> {
    return Result.map(LockObject.read(this.#form, object), ({ fence, record, uid, version }) => {
      // An object without a record is no life of the lock: to the election it is as absent as one that was deleted.
      const observation: LeaseLock.Observation = {
        record,
        version,
        fence,
        ...(Option.isSome(record) ? { uid } : {})
      }
      this.#objects.set(observation, object)
      this.#see(fence)
      return observation
    })
  }

  /** No object: all absences are one version, since a write against it compares with nothing but absence. */
  absent(deletedAt?: bigint): LeaseLock.Observation {
    if (deletedAt !== undefined) this.#see(deletedAt)
    return { record: Option.none(), version: absentVersion, fence: deletedAt ?? this.#greatest }
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
