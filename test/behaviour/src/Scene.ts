/**
 * What a case of the table is given: a Lease of its own on the API server under test, and candidates for it.
 */
import { type LeaderElection, LeaseLock } from "@effect-leader/core"
import { KubernetesClient, KubernetesLock } from "@effect-leader/kubernetes"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { TestCluster } from "../../../packages/kubernetes/test/TestCluster.ts"
import * as Candidate from "./Candidate.ts"
import * as Lease from "./Lease.ts"

export interface Behaviour {
  /** As in guides/kubernetes.md, section 6. */
  readonly number: number
  readonly says: string
  /** Where this project deliberately differs from the peer whose case it is: what it does instead, and why. */
  readonly differs?: string
  readonly run: (scene: Scene) => Effect.Effect<void, Trouble, KubernetesClient.KubernetesClient | Scope.Scope>
}

type Trouble = LeaseLock.LockError | LeaderElection.InvalidTimings | KubernetesLock.InvalidLockName

const make = (number: number) =>
  Effect.gen(function* () {
    const { admin } = yield* TestCluster
    const lease = Lease.make(admin, `case-${number}-${randomUUID()}`)
    yield* Effect.addFinalizer(() => lease.remove)
    const lockOn = Effect.fnUntraced(function* (client: KubernetesClient.KubernetesClient["Service"]) {
      const layer = KubernetesLock.layerLease({ name: lease.name }).pipe(
        Layer.provide(Layer.succeed(KubernetesClient.KubernetesClient, client))
      )
      return yield* Effect.provide(LeaseLock.LeaseLock, yield* Layer.build(Layer.fresh(layer)))
    })
    const newLock = Effect.flatMap(KubernetesClient.KubernetesClient, lockOn)
    const journal: Array<Candidate.Entry> = []
    const all: Array<Candidate.Candidate> = []
    const candidateOn = Effect.fnUntraced(function* (
      lock: Candidate.Lock,
      identity: string,
      options?: Candidate.Options
    ) {
      const candidate = yield* Candidate.start(identity, lock, journal, options)
      all.push(candidate)
      return candidate
    })
    return {
      lease,
      /** A lock on the Lease for the case itself. */
      newLock,
      /** A lock through a client that the case changes. */
      lockOn,
      candidate: Effect.fnUntraced(function* (identity: string, options?: Candidate.Options) {
        return yield* candidateOn(yield* newLock, identity, options)
      }),
      candidateOn,
      /** The work of all candidates, in the order of time. */
      journal,
      told: () => journal.map(({ what, who }) => `${who} ${what}`),
      all
    }
  })

export type Scene = Effect.Success<ReturnType<typeof make>>

/** Whatever the case was about, what its candidates leave behind is nothing. */
export const play = ({ number, run }: Behaviour) =>
  Effect.gen(function* () {
    const scene = yield* make(number)
    yield* run(scene)
    for (const candidate of scene.all) {
      yield* Effect.andThen(candidate.faults.heal, candidate.close)
      const open = candidate.faults.open()
      if (open > 0)
        yield* Effect.die(new Error(`${candidate.identity} has closed and left ${open} requests or watches`))
    }
  }).pipe(Effect.scoped, Effect.provide(silence))

/** All cases at once would be a babel; a case that fails says why. */
const silence = Logger.layer([])
