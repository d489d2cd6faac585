/**
 * A real kube-apiserver on a real etcd as the server under test. Roles are granted with kubectl, requests are read from
 * its audit log.
 */
import type { AuditEvent } from "@effect-leader/test-cluster/AuditLog"
import { ControlPlane } from "@effect-leader/test-cluster/ControlPlane"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ApiServer, candidateRule, type LeaseRequest, monotonicAt, readLease, users } from "./ApiServer.ts"
import { grant, leasePath } from "./Roles.ts"

const make = Effect.gen(function* () {
  const plane = yield* ControlPlane

  return ApiServer.of({
    port: Number(new URL(plane.server).port),
    url: plane.server,
    ca: plane.ca,
    token: plane.token,
    kubeconfig: plane.kubeconfig,
    allow: (lease) => Effect.provideService(grant(lease, [candidateRule(lease)], users), ControlPlane, plane),
    lease: Effect.fnUntraced(function* (name: string) {
      const response = yield* plane.client("admin").get(leasePath(name))
      const object = yield* response.json
      return response.status === 404 ? Option.none() : Option.some(yield* readLease(object))
    }, Effect.orDie),
    requests: Effect.map(plane.audit, (events) => {
      const seen = new Set<string>()
      // A watch has a second event, when it ends.
      return events.filter(({ auditID }) => !seen.has(auditID) && seen.add(auditID)).map(toLeaseRequest)
    }),
    stop: plane.stopApiServer,
    start: Effect.orDie(plane.startApiServer),
    freeze: plane.freezeApiServer,
    thaw: plane.thawApiServer
  })
})

const toLeaseRequest = (event: AuditEvent): LeaseRequest => ({
  at: monotonicAt(DateTime.toEpochMillis(DateTime.makeUnsafe(event.requestReceivedTimestamp))),
  verb: event.verb,
  user: event.user.username,
  lease: event.objectRef?.name ?? "",
  status: event.responseStatus?.code
})

/** With the control plane itself, for what only a real one has. */
export const layer = Layer.effect(ApiServer, make).pipe(Layer.provideMerge(ControlPlane.layer))
