/**
 * What the demo knows at a moment, and how each happening changes it. Everything that is shown or measured is derived from
 * a scene: the live view, the plain lines and the summary. All times are milliseconds of the machine's clock.
 */
import type { Freeze, Mark } from "./Exclusion.ts"
import { duration, type Style } from "./Text.ts"

export type Fault = "kill" | "terminate" | "freeze"

export type Happening = { readonly at: number } & (
  | { readonly _tag: "Launched"; readonly replica: string; readonly pid: number }
  /** A line of the job's log. */
  | { readonly _tag: "Worked"; readonly mark: Mark }
  /** Any other line of a replica. */
  | { readonly _tag: "Spoke"; readonly replica: string; readonly text: string; readonly isTrouble: boolean }
  | { readonly _tag: "Ended"; readonly replica: string; readonly how: string }
  | { readonly _tag: "LeaseSeen"; readonly lease: Lease }
  | { readonly _tag: "Faulted"; readonly fault: Fault; readonly replica: string }
  | { readonly _tag: "Thawed"; readonly replica: string }
  /** The script is over: a person may do the same now. */
  | { readonly _tag: "HandedOver" }
  | { readonly _tag: "Noted"; readonly text: string }
)

/** What the Lease says. */
export interface Lease {
  readonly holder: string | undefined
  readonly renewedAt: number
  readonly expiresAt: number
}

export type Status = "starting" | "standby" | "leading" | "stopping" | "frozen" | "dead"

export interface Replica {
  readonly name: string
  readonly pid: number
  readonly status: Status
  /** Every status it has had, and since when. */
  readonly past: ReadonlyArray<{ readonly status: Status; readonly from: number }>
  readonly ticks: number
  /** Of the term in which it works, or worked last. */
  readonly token: bigint | undefined
  /** When the Lease expires, or expired, as it last renewed it. */
  readonly leaseUntil: number | undefined
}

/** A fault, and what followed. */
export interface Incident {
  readonly fault: Fault
  readonly replica: string
  readonly token: bigint
  readonly at: number
  /** The last work under the token before another leader's. */
  readonly lastWorkAt: number
  /** When the Lease of the replica expired, if it could not give it back. */
  readonly expiredAt: number | undefined
  /** The first work of the next leader. */
  readonly next: Mark | undefined
  readonly thawedAt: number | undefined
  /** When the replica said that its work has stopped. */
  readonly stoppedAt: number | undefined
}

export interface Note {
  readonly at: number
  readonly text: string
  readonly style: Style
}

export interface Scene {
  readonly startedAt: number
  /** In order of their launch. */
  readonly replicas: ReadonlyArray<Replica>
  readonly lease: Lease | undefined
  readonly marks: ReadonlyArray<Mark>
  readonly incidents: ReadonlyArray<Incident>
  readonly control: "script" | "person"
  /** What happened so far, for a person. */
  readonly notes: ReadonlyArray<Note>
}

export const empty = (startedAt: number): Scene => ({
  startedAt,
  replicas: [],
  lease: undefined,
  marks: [],
  incidents: [],
  control: "script",
  notes: []
})

/** The replica that works, by its own account; a frozen one cannot. */
export const leader = (scene: Scene): Replica | undefined =>
  scene.replicas.findLast((replica) => replica.status === "leading")

export const alive = (scene: Scene): ReadonlyArray<Replica> => scene.replicas.filter(({ status }) => status !== "dead")

export const freezes = (scene: Scene): ReadonlyArray<Freeze> =>
  scene.incidents
    .filter(({ fault }) => fault === "freeze")
    .map(({ at, replica, thawedAt }) => ({ replica, from: at, ...(thawedAt === undefined ? {} : { until: thawedAt }) }))

export const reduce = (scene: Scene, happening: Happening): Scene => {
  const { at } = happening
  switch (happening._tag) {
    case "Launched": {
      const { pid, replica: name } = happening
      const past = [{ status: "starting", from: at }] as const
      const replica: Replica = {
        name,
        pid,
        status: "starting",
        past,
        ticks: 0,
        token: undefined,
        leaseUntil: undefined
      }
      return note({ ...scene, replicas: [...scene.replicas, replica] }, at, `${name} starts (pid ${pid})`)
    }
    case "Worked":
      return worked(up(scene, happening.mark.replica, at), happening.mark)
    case "Spoke": {
      const { isTrouble, replica, text } = happening
      const listening = up(scene, replica, at)
      return isTrouble ? note(listening, at, `${replica}: ${text}`, "busy") : listening
    }
    case "Ended": {
      const { how, replica } = happening
      return note(become(scene, replica, "dead", at), at, `${replica} is gone (${how})`)
    }
    case "LeaseSeen": {
      const { lease } = happening
      const held = change(scene, lease.holder, (replica) => ({ ...replica, leaseUntil: lease.expiresAt }))
      return { ...held, lease }
    }
    case "Faulted":
      return faulted(scene, happening.replica, happening.fault, at)
    case "Thawed": {
      const { replica } = happening
      const incident = scene.incidents.findLast((it) => it.replica === replica && it.fault === "freeze")
      const slept = incident === undefined ? "" : ` after ${duration(at - incident.at)}`
      return note(
        become(changeIncident(scene, incident, { thawedAt: at }), replica, "leading", at),
        at,
        `SIGCONT: ${replica} wakes up${slept}`,
        "bad"
      )
    }
    case "HandedOver":
      return note({ ...scene, control: "person" }, at, "the script is over, the keys are yours")
    case "Noted":
      return note(scene, at, happening.text)
  }
}

const worked = (scene: Scene, mark: Mark): Scene => {
  const { at, did, replica, token } = mark
  const marked = { ...scene, marks: [...scene.marks, mark] }
  switch (did) {
    case "ticked":
      return change(marked, replica, (it) => ({ ...it, ticks: it.ticks + 1 }))
    case "started": {
      const before = scene.incidents.find((it) => it.next === undefined && it.token < token)
      const leading = change(become(marked, replica, "leading", at), replica, (it) => ({ ...it, token }))
      const headed = note(leading, at, `${replica} leads with token ${token}${following(scene, before, at)}`, "good")
      return changeIncident(headed, before, {
        next: mark,
        lastWorkAt: lastWork(scene, before) ?? at,
        expiredAt: before?.fault === "terminate" ? undefined : leaseUntil(scene, before)
      })
    }
    case "stopped": {
      const incident = scene.incidents.findLast((it) => it.replica === replica && it.token === token)
      const woken = incident?.thawedAt === undefined ? "" : `, ${duration(at - incident.thawedAt)} after it woke up`
      const isLeaving = scene.replicas.some((it) => it.name === replica && it.status === "stopping")
      const resting = isLeaving ? marked : become(marked, replica, "standby", at)
      const told = note(resting, at, `${replica} has stopped its work under token ${token}${woken}`)
      return changeIncident(told, incident, { stoppedAt: at })
    }
  }
}

const faulted = (scene: Scene, name: string, fault: Fault, at: number): Scene => {
  const token = scene.replicas.find((it) => it.name === name)?.token
  if (token === undefined) return scene
  const incident: Incident = {
    fault,
    replica: name,
    token,
    at,
    lastWorkAt: at,
    expiredAt: undefined,
    next: undefined,
    thawedAt: undefined,
    stoppedAt: undefined
  }
  const hit = fault === "kill" ? scene : become(scene, name, fault === "freeze" ? "frozen" : "stopping", at)
  return note(
    { ...hit, incidents: [...scene.incidents, incident] },
    at,
    `${signal[fault]}: ${name}, which leads`,
    "bad"
  )
}

export const signal = { kill: "kill -9", terminate: "SIGTERM", freeze: "SIGSTOP" } as const

const following = (scene: Scene, incident: Incident | undefined, at: number): string => {
  if (incident === undefined) return ""
  const after = `, ${duration(at - incident.at)} after ${signal[incident.fault]} of ${incident.replica}`
  const expiry = incident.fault === "terminate" ? undefined : leaseUntil(scene, incident)
  return expiry === undefined ? after : `${after}, ${duration(at - expiry)} after its lease ran out`
}

const lastWork = (scene: Scene, incident: Incident | undefined): number | undefined =>
  scene.marks.findLast((mark) => mark.token === incident?.token)?.at

const leaseUntil = (scene: Scene, incident: Incident | undefined): number | undefined =>
  scene.replicas.find((it) => it.name === incident?.replica)?.leaseUntil

const note = (scene: Scene, at: number, text: string, style: Style = "plain"): Scene => ({
  ...scene,
  notes: [...scene.notes, { at, text, style }]
})

const change = (scene: Scene, name: string | undefined, f: (replica: Replica) => Replica): Scene => ({
  ...scene,
  replicas: scene.replicas.map((replica) => (replica.name === name ? f(replica) : replica))
})

const changeIncident = (scene: Scene, incident: Incident | undefined, to: Partial<Incident>): Scene => ({
  ...scene,
  incidents: scene.incidents.map((it) => (it === incident ? { ...it, ...to } : it))
})

const become = (scene: Scene, name: string, status: Status, at: number): Scene =>
  change(scene, name, (replica) =>
    replica.status === status ? replica : { ...replica, status, past: [...replica.past, { status, from: at }] }
  )

/** A replica that says anything has come up. */
const up = (scene: Scene, name: string, at: number): Scene =>
  scene.replicas.some((it) => it.name === name && it.status === "starting") ? become(scene, name, "standby", at) : scene
