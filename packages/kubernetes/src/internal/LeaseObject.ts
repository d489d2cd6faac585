/**
 * A Lease's record is its spec. Only a spec that is none at all is refused.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ResourceType } from "../KubernetesObject.ts"
import { unreadable, type RecordForm } from "./LockObject.ts"
import { fieldsOf } from "./RawObject.ts"
import * as RecordFields from "./RecordFields.ts"
import { sayIssues } from "./SchemaText.ts"

export const leaseType: ResourceType = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases"
}

const decodeSpec = Schema.decodeUnknownResult(
  Schema.Struct({ ...RecordFields.spelling, leaseTransitions: RecordFields.maybe(Schema.Finite) })
)

export const lease: RecordForm = {
  type: leaseType,
  read: (object) => {
    const decoded = decodeSpec(object["spec"] ?? {}, { errors: "all", reportInput: true })
    if (Result.isFailure(decoded)) return unreadable(leaseType, sayIssues(decoded.failure, "spec"))
    const { leaseTransitions, ...fields } = decoded.success
    return Result.succeed(Option.some({ ...fields, transitions: leaseTransitions }))
  },
  lay: (object, { acquireTime, renewTime, transitions, ...fields }) => ({
    ...object,
    spec: {
      ...fieldsOf(object["spec"]),
      ...fields,
      acquireTime: microTime(acquireTime),
      renewTime: microTime(renewTime),
      leaseTransitions: transitions
    }
  }),
  // A Role can name what is made by PUT. One with neither uid nor version is refused where the Lease exists (422).
  create: (client, reference, object) => client.update(reference, object)
}

// The API server refuses any other number of fraction digits than six.
const microTime = (time: string): string => time.replace("Z", "000Z")
