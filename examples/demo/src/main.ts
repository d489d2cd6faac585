/**
 * The demo: three replicas of hello-leader on one Lease, and what happens to their work when leaders are killed, asked to
 * leave and frozen. `node src/main.ts --help` says what may be asked of it.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Runtime, Schema } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import * as Demo from "./Demo.ts"

/** Says what to exit with; everything for a person is printed by then. */
class Exit extends Schema.TaggedError<Exit>()("Exit", { code: Schema.Finite }) {
  override readonly [Runtime.errorReported] = false
  override get [Runtime.errorExitCode]() {
    return this.code
  }
}

const demo = Command.make(
  "demo",
  {
    keep: Flag.Boolean("keep").pipe(
      Flag.withDescription("Stay on afterwards: keys kill, terminate, freeze and thaw the leader"),
      Flag.withDefault(false)
    ),
    kubeconfig: Flag.String("kubeconfig").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Elect on the cluster of this kubeconfig instead of an embedded API server"),
      Flag.optional
    )
  },
  (options) =>
    Demo.play(options).pipe(
      Effect.catchTag("Interrupted", () => new Exit({ code: 130 })),
      Effect.catchIf(
        (error) => error._tag !== "Exit",
        (error) => Effect.andThen(Console.error(`demo: ${error.message}`), new Exit({ code: 1 }))
      )
    )
).pipe(Command.withDescription("Three replicas of hello-leader on one Lease, and what happens when leaders go"))

Command.run(demo, { version: "0.1.0" }).pipe(
  Effect.catchTag("ShowHelp", (help) => (help.errors.length === 0 ? Effect.void : new Exit({ code: 2 }))),
  Effect.provide(Layer.merge(NodeServices.layer, CliConfig.layer({ builtIns: [GlobalFlag.Help] }))),
  NodeRuntime.runMain
)
