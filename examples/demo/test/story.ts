/** Happenings as they come in a run of the demo, for tests of what is made of them. Times are milliseconds. */
import type { Mark } from "../src/Exclusion.ts"
import * as Scene from "../src/Scene.ts"

export const launched = (at: number, replica: string): Scene.Happening => ({ _tag: "Launched", at, replica, pid: 100 })

export const up = (at: number, replica: string): Scene.Happening => ({
  _tag: "Spoke",
  at,
  replica,
  text: "default/hello-leader is led by hello-0",
  isTrouble: false
})

export const worked = (at: number, replica: string, token: bigint, did: Mark["did"]): Scene.Happening => ({
  _tag: "Worked",
  at,
  mark: { at, replica, token, did }
})

export const held = (at: number, holder: string | undefined): Scene.Happening => ({
  _tag: "LeaseSeen",
  at,
  lease: { holder, renewedAt: at, expiresAt: at + 5000 }
})

export const faulted = (at: number, fault: Scene.Fault, replica: string): Scene.Happening => ({
  _tag: "Faulted",
  at,
  fault,
  replica
})

export const ended = (at: number, replica: string, how: string): Scene.Happening => ({
  _tag: "Ended",
  at,
  replica,
  how
})

export const thawed = (at: number, replica: string): Scene.Happening => ({ _tag: "Thawed", at, replica })

export const scene = (...happenings: ReadonlyArray<Scene.Happening>): Scene.Scene =>
  happenings.reduce(Scene.reduce, Scene.empty(0))

/** hello-0 leads, two stand by. */
export const calm = [
  launched(0, "hello-0"),
  launched(0, "hello-1"),
  launched(0, "hello-2"),
  held(1000, "hello-0"),
  worked(1000, "hello-0", 3n, "started"),
  worked(1000, "hello-0", 3n, "ticked"),
  up(1200, "hello-1"),
  up(1200, "hello-2"),
  worked(1250, "hello-0", 3n, "ticked")
]

/** hello-0 is killed, hello-1 takes over. */
export const killed = [
  ...calm,
  held(2000, "hello-0"),
  faulted(2500, "kill", "hello-0"),
  ended(2510, "hello-0", "SIGKILL"),
  launched(2520, "hello-3"),
  up(3000, "hello-3"),
  held(7005, "hello-1"),
  worked(7010, "hello-1", 6n, "started"),
  worked(7010, "hello-1", 6n, "ticked")
]

/** Then hello-1 is asked to leave, and hello-2 follows. */
export const terminated = [
  ...killed,
  faulted(9000, "terminate", "hello-1"),
  worked(9001, "hello-1", 6n, "stopped"),
  held(9010, undefined),
  held(9015, "hello-2"),
  worked(9020, "hello-2", 9n, "started"),
  worked(9020, "hello-2", 9n, "ticked"),
  ended(9030, "hello-1", "exit code 130"),
  launched(9040, "hello-4"),
  up(9500, "hello-4")
]

/** Then hello-2 is frozen until hello-3 has led for a while. */
export const frozen = [
  ...terminated,
  held(11_000, "hello-2"),
  faulted(11_500, "freeze", "hello-2"),
  held(16_005, "hello-3"),
  worked(16_008, "hello-3", 14n, "started"),
  worked(16_008, "hello-3", 14n, "ticked"),
  thawed(18_000, "hello-2"),
  worked(18_003, "hello-2", 9n, "stopped")
]
