// A certificate of the server's own, for sites without one: self-signed ECDSA P-256, so that every TLS client can
// speak to it. Devices trust it by its hash in their token; the key exchange is post-quantum, and the protocol above
// authenticates the server with ML-DSA.

import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";

/** PEM. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const NOT_BEFORE = new Date("2025-01-01T00:00:00Z");
/** RFC 5280 section 4.1.2.5: a certificate without a well-defined end. It is pinned, not dated. */
const NOT_AFTER = new Date("9999-12-31T23:59:59Z");

export async function makeCertificate(hosts: readonly string[]): Promise<TlsFiles> {
  cryptoProvider.set("default", webcrypto as unknown as Crypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host }));
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=qflare",
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys: keys as Parameters<typeof X509CertificateGenerator.createSelfSigned>[0]["keys"],
    extensions: [new BasicConstraintsExtension(false), new SubjectAlternativeNameExtension(names)],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const lines = der.match(/.{1,64}/g)!.join("\n");
  return {
    certificate: certificate.toString("pem"),
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}

/** SHA-256 of the certificate in DER. */
export function certificateHash(pem: string): Uint8Array<ArrayBuffer> {
  try {
    return sha256(new X509Certificate(pem).raw);
  } catch (cause) {
    throw new QflareError("config.invalid", "the TLS certificate cannot be read", { cause });
  }
}
