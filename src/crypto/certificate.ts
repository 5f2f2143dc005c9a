// X.509 certificates that are made here, where a site brings none: ECDSA P-256, so that every TLS client can read them.

import "reflect-metadata";
import { X509Certificate as ParsedCertificate, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { concat, utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { type Shape, secretBytes, text } from "../core/shape.ts";
import { sha256 } from "./hash.ts";

/** PEM. key: bytes, since text cannot be wiped; in the type that node:tls takes. Its owner's to wipe. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly key: Buffer;
}

export interface CertificateContents {
  readonly commonName: string;
  /** Names and addresses that it is valid for. */
  readonly hosts?: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether it may sign others. */
  readonly isAuthority?: boolean;
}

const PEM_LENGTH_MAX = 16_384;

/** Key files of before hold the key as text. */
const pemKey: Shape<Buffer> = {
  ...secretBytes(1, PEM_LENGTH_MAX),
  read: (value, path) => {
    const bytes = typeof value === "string" ? utf8(value) : value;
    return Buffer.from(secretBytes(1, PEM_LENGTH_MAX).read(bytes, path).buffer);
  },
};

/** As key files hold it. */
export const certifiedKeyFields = { certificate: text(PEM_LENGTH_MAX), key: pemKey };

type KeyPair = Parameters<typeof X509CertificateGenerator.createSelfSigned>[0]["keys"];

/** A certificate with its key pair, which can sign others. */
export interface Issued {
  readonly certificate: X509Certificate;
  readonly keys: KeyPair;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Signed by the issuer, or by itself where there is none. */
export async function issueCertificate(contents: CertificateContents, issuer?: Issued): Promise<Issued> {
  cryptoProvider.set("default", webcrypto as unknown as Crypto);
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as unknown as KeyPair;
  const { commonName, hosts = [], notBefore, notAfter, isAuthority = false } = contents;
  const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host }));
  const subject = `CN=${commonName}`;
  const certificate = await X509CertificateGenerator.create({
    ...{ notBefore, notAfter, subject },
    issuer: issuer?.certificate.subject ?? subject,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    extensions: [
      new BasicConstraintsExtension(isAuthority),
      ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
    ],
  });
  return { certificate, keys };
}

export async function pemOf({ certificate, keys }: Issued): Promise<CertifiedKey> {
  const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey as unknown as webcrypto.CryptoKey);
  return { certificate: certificate.toString("pem"), key: pemOfKey(new Uint8Array(der)) };
}

const LINE_BYTES = 48; // 64 characters
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const [LINE_END, PADDING] = [10, 61];

/** RFC 7468, without the way over a string, which would stay in memory. Wipes der. */
function pemOfKey(der: Uint8Array): Buffer {
  const body = new Uint8Array(4 * Math.ceil(der.length / 3) + Math.ceil(der.length / LINE_BYTES));
  let offset = 0;
  for (let at = 0; at < der.length; at += 3) {
    const word = (der[at]! << 16) | ((der[at + 1] ?? 0) << 8) | (der[at + 2] ?? 0);
    for (let k = 0; k < 4; k++) {
      body[offset++] = at + k > der.length ? PADDING : DIGITS.charCodeAt((word >> (18 - 6 * k)) & 63);
    }
    if ((at + 3) % LINE_BYTES === 0 || at + 3 >= der.length) body[offset++] = LINE_END;
  }
  const pem = concat(utf8("-----BEGIN PRIVATE KEY-----\n"), body, utf8("-----END PRIVATE KEY-----\n"));
  wipe(der, body);
  return Buffer.from(pem.buffer);
}

/** SHA-256 of the certificate in DER. Throws config.invalid for what is no certificate. */
export function certificateHash(pem: string): Uint8Array<ArrayBuffer> {
  try {
    return sha256(new ParsedCertificate(pem).raw);
  } catch (cause) {
    throw new QflareError("config.invalid", "the TLS certificate cannot be read", { cause });
  }
}
