/**
 * A PostgreSQL server of its own for a test, made from the programs that are installed: in a temporary folder, on a port
 * that nobody else uses. When the scope closes, or this process ends in whatever way, the server is gone, and its folder.
 *
 * PostgreSQL refuses to run as root. There it runs as the user `postgres`, whom its Debian package has made.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes, randomInt } from "node:crypto"
import { accessSync, constants, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import * as Guard from "./Guard.ts"

/** There is no server to test with, or it did not start. */
export class PostgresError extends Schema.TaggedError<PostgresError>()("PostgresError", { message: Schema.String }) {}

export class PostgresServer extends Context.Service<
  PostgresServer,
  {
    /** The URL of a new, empty database, for a user who may do everything. */
    readonly database: Effect.Effect<Redacted.Redacted>
    /** Ends all its processes at once, with nothing written back; on the next start it recovers from its log. */
    readonly crash: Effect.Effect<void>
    /** Starts it again, on the same port. */
    readonly start: Effect.Effect<void, PostgresError>
  }
>()("leader-follower-store/test/PostgresServer") {}

const make = Effect.gen(function* () {
  const programs = yield* findPrograms
  const user = yield* unprivileged
  const { drop, folder, take } = yield* Guard.make(user)
  const data = `${folder}/data`
  const password = randomBytes(12).toString("hex")
  writeFileSync(`${folder}/password`, password, { mode: 0o644 })
  yield* initialize(programs.initdb, user, [
    "--no-sync",
    "--username=tester",
    `--pwfile=${folder}/password`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    `--pgdata=${data}`
  ])

  const port = yield* freePort
  const url = (database: string) => Redacted.make(`postgres://tester:${password}@127.0.0.1:${port}/${database}`)
  let server: ChildProcess | undefined
  let output = ""

  // Without fsync: what a killed process has written, the system still has.
  const settings = ["fsync=off", "listen_addresses=127.0.0.1", `port=${port}`, "unix_socket_directories="]
  const launch = Effect.sync(() => {
    server = spawn(programs.postgres, ["-D", data, ...settings.flatMap((setting) => ["-c", setting])], {
      ...user,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
      env: { HOME: folder, TZ: "UTC" }
    })
    server.stderr?.on("data", (chunk) => (output += chunk))
    server.on("error", (error) => (output += error.message))
    const { pid } = server
    if (pid !== undefined) {
      take(pid)
      server.once("exit", () => drop(pid))
    }
    return server
  })
  const isReady = Effect.scoped(
    Effect.flatMap(Layer.build(PgClient.layer({ url: url("postgres") })), (context) => {
      const sql = Context.get(context, PgClient.PgClient)
      return sql`SELECT 1`
    })
  )
  const start = Effect.flatMap(launch, (launched) =>
    isReady.pipe(
      Effect.retry({
        schedule: Schedule.spaced("50 millis"),
        while: () => launched.exitCode === null && launched.signalCode === null
      }),
      Effect.timeout("60 seconds"),
      Effect.mapError(() => new PostgresError({ message: `PostgreSQL does not start on port ${port}:\n${output}` })),
      Effect.asVoid
    )
  )
  const crash = Effect.callback<void>((resume) => {
    const running = server
    if (running === undefined || running.exitCode !== null) return resume(Effect.void)
    running.once("exit", () => resume(Effect.void))
    running.kill("SIGQUIT")
  })
  yield* start

  let databases = 0
  return PostgresServer.of({
    database: Effect.suspend(() => {
      const name = `test_${++databases}`
      return Effect.flatMap(Layer.build(PgClient.layer({ url: url("postgres") })), (context) => {
        const sql = Context.get(context, PgClient.PgClient)
        return Effect.as(sql`CREATE DATABASE ${sql(name)}`, url(name))
      })
    }).pipe(Effect.scoped, Effect.orDie),
    crash,
    start
  })
})

/** Takes a moment: share it between the tests of a file. */
export const layer: Layer.Layer<PostgresServer, PostgresError> = Layer.effect(PostgresServer, make)

const findPrograms = Effect.suspend(() => {
  const debian = "/usr/lib/postgresql"
  const versions = readFolder(debian).toSorted((a, b) => Number(b) - Number(a))
  const path = (process.env["PATH"] ?? "").split(":")
  const folder = [...versions.map((version) => `${debian}/${version}/bin`), ...path].find(
    (folder) => isProgram(`${folder}/initdb`) && isProgram(`${folder}/postgres`)
  )
  const message =
    `no PostgreSQL server is installed: neither ${debian}/*/bin nor PATH has initdb and postgres. ` +
    "On Debian and Ubuntu: apt-get install postgresql"
  return folder === undefined
    ? Effect.fail(new PostgresError({ message }))
    : Effect.succeed({ initdb: `${folder}/initdb`, postgres: `${folder}/postgres` })
})

const readFolder = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Who PostgreSQL runs as: this user, if it is not root. */
const unprivileged = Effect.suspend(() => {
  if (process.getuid?.() !== 0) return Effect.succeed({})
  const account = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"))
  const message =
    "PostgreSQL does not run as root, and there is no user postgres to run it as. On Debian and Ubuntu its package " +
    "makes one: apt-get install postgresql"
  return account === null
    ? Effect.fail(new PostgresError({ message }))
    : Effect.succeed({ uid: Number(account[1]), gid: Number(account[2]) })
})

const initialize = (initdb: string, user: Guard.Owner, args: ReadonlyArray<string>) =>
  Effect.callback<void, PostgresError>((resume) => {
    const child = spawn(initdb, args, { ...user, stdio: ["ignore", "pipe", "pipe"], env: { LC_ALL: "C" } })
    let output = ""
    const fail = () => Effect.fail(new PostgresError({ message: `${initdb} failed:\n${output}` }))
    child.stdout.on("data", (chunk) => (output += chunk))
    child.stderr.on("data", (chunk) => (output += chunk))
    child.once("error", (error) => {
      output += error.message
      resume(fail())
    })
    child.once("exit", (code) => resume(code === 0 ? Effect.void : fail()))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

// Below the range from which the system gives ports to outgoing connections, so that none gets it between two starts.
const freePort = Effect.suspend(() => isFree(randomInt(20_000, 30_000))).pipe(
  Effect.repeat({ until: (port) => port !== undefined })
)

const isFree = (port: number) =>
  Effect.callback<number | undefined>((resume) => {
    const probe = createServer()
    probe.once("error", () => resume(Effect.succeed(undefined)))
    probe.listen({ port, host: "127.0.0.1" }, () => probe.close(() => resume(Effect.succeed(port))))
  })
