/**
 * Records as the tests of the locks write them to any API server.
 */
import type { LeaseLock } from "@effect-leader/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** Held, or free if the holder is undefined, at times whose milliseconds a Lease must keep. */
export const record = (
  holder: string | undefined,
  change: Partial<LeaseLock.LeaseRecord> = {}
): LeaseLock.LeaseRecord => ({
  holder: Option.fromUndefinedOr(holder),
  leaseDuration: Duration.seconds(15),
  acquiredAt: DateTime.makeUnsafe("2026-01-02T03:04:05.006Z"),
  renewedAt: DateTime.makeUnsafe("2026-01-02T03:04:07.008Z"),
  transitions: 0,
  ...change
})
