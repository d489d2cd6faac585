/**
 * A certificate authority of the moment and one server certificate of it, for 127.0.0.1 and localhost. Keys and
 * signatures are Node's own; only the ASN.1 comes from a library.
 *
 * @since 0.1.0
 */
import { AsnConvert, OctetString } from "@peculiar/asn1-schema"
import * as X509 from "@peculiar/asn1-x509"
import * as DateTime from "effect/DateTime"
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"

/** All as PEM. */
export interface Credentials {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export const generate = (): Credentials => {
  const authority = makeAuthority("effect-leader embedded API server CA")
  return { ca: authority.ca, ...authority.issue() }
}

/** Issues server certificates. */
export interface Authority {
  /** As PEM; so are those that it issues. */
  readonly ca: string
  readonly issue: (validity?: Validity) => { readonly cert: string; readonly key: string }
}

export const makeAuthority = (caName: string): Authority => {
  const ca = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const caCertificate = issue({
    subject: caName,
    publicKey: ca.publicKey,
    issuer: caName,
    issuerKey: ca,
    validity: always,
    extensions: [
      extension(X509.id_ce_basicConstraints, new X509.BasicConstraints({ cA: true }), true),
      extension(X509.id_ce_keyUsage, new X509.KeyUsage(X509.KeyUsageFlags.keyCertSign), true)
    ]
  })
  const issueServer: Authority["issue"] = (validity = always) => {
    const server = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const certificate = issue({
      subject: "kube-apiserver",
      publicKey: server.publicKey,
      issuer: caName,
      issuerKey: ca,
      validity,
      extensions: [
        extension(X509.id_ce_basicConstraints, new X509.BasicConstraints(), true),
        extension(X509.id_ce_keyUsage, new X509.KeyUsage(X509.KeyUsageFlags.digitalSignature), true),
        extension(X509.id_ce_extKeyUsage, new X509.ExtendedKeyUsage([X509.id_kp_serverAuth])),
        extension(
          X509.id_ce_subjectAltName,
          new X509.SubjectAlternativeName([
            new X509.GeneralName({ iPAddress: "127.0.0.1" }),
            new X509.GeneralName({ dNSName: "localhost" })
          ])
        )
      ]
    })
    return { cert: certificate, key: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString() }
  }
  return { ca: caCertificate, issue: issueServer }
}

/** From when to when, in ISO form. */
export interface Validity {
  readonly from: string
  readonly until: string
}

/** Always valid: what is tested is not the calendar, and the clock may be a test's. */
const always: Validity = { from: "2000-01-01T00:00:00Z", until: "2099-12-31T00:00:00Z" }
export const longAgo: Validity = { from: "2000-01-01T00:00:00Z", until: "2000-01-02T00:00:00Z" }

const ecdsaWithSha256 = new X509.AlgorithmIdentifier({ algorithm: "1.2.840.10045.4.3.2" })

const issue = (certificate: {
  readonly subject: string
  readonly publicKey: KeyObject
  readonly issuer: string
  readonly issuerKey: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  readonly validity: Validity
  readonly extensions: ReadonlyArray<X509.Extension>
}): string => {
  const instant = (iso: string) => DateTime.toDateUtc(DateTime.makeUnsafe(iso))
  const issuerKeyId = keyId(certificate.issuerKey.publicKey)
  const content = new X509.TBSCertificate({
    version: X509.Version.v3,
    // Positive, as a first byte below 128 makes it.
    serialNumber: new Uint8Array([1, ...randomBytes(15)]).buffer,
    signature: ecdsaWithSha256,
    issuer: nameOf(certificate.issuer),
    validity: new X509.Validity({
      notBefore: instant(certificate.validity.from),
      notAfter: instant(certificate.validity.until)
    }),
    subject: nameOf(certificate.subject),
    subjectPublicKeyInfo: publicKeyInfo(certificate.publicKey),
    extensions: new X509.Extensions([
      ...certificate.extensions,
      extension(X509.id_ce_subjectKeyIdentifier, keyId(certificate.publicKey)),
      extension(X509.id_ce_authorityKeyIdentifier, new X509.AuthorityKeyIdentifier({ keyIdentifier: issuerKeyId }))
    ])
  })
  const signature = sign("sha256", Buffer.from(AsnConvert.serialize(content)), certificate.issuerKey.privateKey)
  const whole = new X509.Certificate({
    tbsCertificate: content,
    signatureAlgorithm: ecdsaWithSha256,
    signatureValue: new Uint8Array(signature).buffer
  })
  const lines =
    Buffer.from(AsnConvert.serialize(whole))
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n")
}

const nameOf = (text: string): X509.Name =>
  new X509.Name([
    new X509.RelativeDistinguishedName([
      new X509.AttributeTypeAndValue({ type: "2.5.4.3", value: new X509.AttributeValue({ utf8String: text }) })
    ])
  ])

const publicKeyInfo = (key: KeyObject): X509.SubjectPublicKeyInfo =>
  AsnConvert.parse(key.export({ type: "spki", format: "der" }), X509.SubjectPublicKeyInfo)

const keyId = (key: KeyObject): X509.SubjectKeyIdentifier => {
  const bits = new Uint8Array(publicKeyInfo(key).subjectPublicKey)
  return new X509.SubjectKeyIdentifier(new Uint8Array(createHash("sha1").update(bits).digest()))
}

const extension = (id: string, value: object, critical = false): X509.Extension =>
  new X509.Extension({ extnID: id, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })
