/**
 * The file by which clients find the server: JSON, which is YAML too.
 *
 * @since 0.1.0
 */

export const make = (options: {
  readonly url: string
  readonly ca: string | undefined
  readonly user: string
  /** Undefined: without authentication. */
  readonly token: string | undefined
}): string => {
  const name = "embedded"
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name,
          cluster: {
            server: options.url,
            ...(options.ca === undefined
              ? // Without TLS there is nothing to verify; @kubernetes/client-node wants it said.
                { "insecure-skip-tls-verify": true }
              : { "certificate-authority-data": Buffer.from(options.ca).toString("base64") })
          }
        }
      ],
      users: [{ name: options.user, user: options.token === undefined ? {} : { token: options.token } }],
      contexts: [{ name, context: { cluster: name, user: options.user, namespace: "default" } }],
      "current-context": name
    },
    undefined,
    2
  )}\n`
}
