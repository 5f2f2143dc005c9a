// Certificates and revocation lists under keys of our own: every way in which a vendor's could be wrong.

import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import {
  type Bytes,
  bits,
  context,
  element,
  integer,
  name,
  objectIdentifier,
  octets,
  sequence,
  TRUE,
  time,
} from "./der-writer.ts";

export type Algorithm = "P-256" | "P-384" | "RSA-4096";

export interface KeyPair {
  readonly algorithm: Algorithm;
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Bytes;
}

export function makeKey(algorithm: Algorithm): KeyPair {
  const { privateKey, publicKey } =
    algorithm === "RSA-4096"
      ? generateKeyPairSync("rsa", { modulusLength: 4096 })
      : generateKeyPairSync("ec", { namedCurve: algorithm });
  return { algorithm, privateKey, publicKey: new Uint8Array(publicKey.export({ type: "spki", format: "der" })) };
}

const SHA384 = sequence(objectIdentifier("2.16.840.1.101.3.4.2.2"));
const ALGORITHMS: Readonly<Record<Algorithm, Bytes>> = {
  "P-256": sequence(objectIdentifier("1.2.840.10045.4.3.2")),
  "P-384": sequence(objectIdentifier("1.2.840.10045.4.3.3")),
  "RSA-4096": sequence(
    objectIdentifier("1.2.840.113549.1.1.10"),
    sequence(
      context(0, SHA384),
      context(1, sequence(objectIdentifier("1.2.840.113549.1.1.8"), SHA384)),
      context(2, integer(48)),
    ),
  ),
};

/** r, then s. */
export function signRaw({ algorithm, privateKey }: KeyPair, message: Uint8Array): Bytes {
  const hash = algorithm === "P-256" ? "sha256" : "sha384";
  return new Uint8Array(sign(hash, message, { key: privateKey, dsaEncoding: "ieee-p1363" }));
}

function signDer({ algorithm, privateKey }: KeyPair, message: Uint8Array): Bytes {
  if (algorithm === "RSA-4096") {
    return new Uint8Array(sign("sha384", message, { key: privateKey, padding: 6, saltLength: 48 }));
  }
  return new Uint8Array(sign(algorithm === "P-256" ? "sha256" : "sha384", message, privateKey));
}

function signed(body: Bytes, key: KeyPair): Bytes {
  return sequence(body, ALGORITHMS[key.algorithm], bits(signDer(key, body)));
}

export function extension(identifier: string, value: Uint8Array, isCritical = false): Bytes {
  return sequence(objectIdentifier(identifier), ...(isCritical ? [TRUE] : []), octets(value));
}

export interface CertificateOptions {
  readonly subject: string;
  readonly issuer: string;
  readonly key: KeyPair;
  readonly issuerKey: KeyPair;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly serial?: number;
  readonly isCa?: boolean;
  /** First byte of the key usage bits; none where left out. */
  readonly keyUsage?: number;
  readonly pathLengthMax?: number;
  readonly extensions?: readonly Bytes[];
}

export const CERT_AND_CRL_SIGN = 0x06;

export function makeCertificate(options: CertificateOptions): Bytes {
  const { isCa = false, keyUsage, pathLengthMax, extensions = [] } = options;
  const constraints = sequence(
    ...(isCa ? [TRUE] : []),
    ...(pathLengthMax === undefined ? [] : [integer(pathLengthMax)]),
  );
  const own = [
    extension("2.5.29.19", constraints, true),
    ...(keyUsage === undefined ? [] : [extension("2.5.29.15", element(0x03, Uint8Array.of(1, keyUsage)), true)]),
    ...extensions,
  ];
  const body = sequence(
    context(0, integer(2)),
    integer(options.serial ?? 1),
    ALGORITHMS[options.issuerKey.algorithm],
    name(options.issuer),
    sequence(time(options.notBeforeMs), time(options.notAfterMs)),
    name(options.subject),
    options.key.publicKey,
    context(3, sequence(...own)),
  );
  return signed(body, options.issuerKey);
}

export interface ListOptions {
  readonly issuer: string;
  readonly issuerKey: KeyPair;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly serials?: readonly number[];
  readonly extensions?: readonly Bytes[];
}

export function makeRevocationList(options: ListOptions): Bytes {
  const { serials = [], extensions = [extension("2.5.29.20", integer(1))] } = options;
  const entries = serials.map((serial) => sequence(integer(serial), time(options.thisUpdateMs)));
  const body = sequence(
    integer(1),
    ALGORITHMS[options.issuerKey.algorithm],
    name(options.issuer),
    time(options.thisUpdateMs),
    time(options.nextUpdateMs),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    context(0, sequence(...extensions)),
  );
  return signed(body, options.issuerKey);
}

export function pem(...certificates: readonly Uint8Array[]): string {
  const blocks = certificates.map((der) => {
    const lines =
      Buffer.from(der)
        .toString("base64")
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
  });
  return blocks.join("");
}
