/**
 * Who the API server knows: an administrator who may do everything, and a few plain users who may do nothing until a
 * Role says so. Each has a token, made anew for every control plane.
 */
import { randomBytes } from "node:crypto"

/** `admin` is in `system:masters`; the others are in no group but `system:authenticated`. */
export const users = ["admin", "limited", "peer", "stranger"] as const

export type User = (typeof users)[number]

export type Tokens = { readonly [U in User]: string }

const newToken = () => randomBytes(16).toString("hex")

export const newTokens = (): Tokens => ({
  admin: newToken(),
  limited: newToken(),
  peer: newToken(),
  stranger: newToken()
})

/** The file for `--token-auth-file`: token, name, uid, groups. */
export const tokenFile = (tokens: Tokens): string =>
  users.map((user) => `${tokens[user]},${user},${user},${user === "admin" ? `"system:masters"` : ""}\n`).join("")

/** A kubeconfig with one context, as JSON, which is YAML too. */
export const kubeconfig = (user: User, token: string, server: string, ca: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": user,
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: user, context: { cluster: "test", user } }]
  })
