// X.509 certificates (RFC 5280): what a chain of hardware vendors needs, and nothing accepted that is not understood.

import { equal, fromUtf8, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { ClassicalAlgorithm } from "../crypto/classical-signature.ts";
import { context, DerReader, enterDer, fixedInteger, smallInteger, TAG } from "./der.ts";
import { isZero } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Certificate {
  /** The signed part. */
  readonly tbs: Bytes;
  readonly algorithm: ClassicalAlgorithm;
  /** ECDSA: r, then s. */
  readonly signature: Bytes;
  readonly serial: string;
  /** Names as DER. */
  readonly issuer: Bytes;
  readonly subject: Bytes;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Bytes;
  readonly isCa: boolean;
  /** How many CA certificates may stand below. */
  readonly pathLengthMax: number;
  readonly maySignCertificates: boolean;
  readonly maySignRevocations: boolean;
  /** Contents by object identifier. */
  readonly extensions: ReadonlyMap<string, Bytes>;
}

const KEY_USAGE = "2.5.29.15";
const BASIC_CONSTRAINTS = "2.5.29.19";
const UNDERSTOOD: readonly string[] = [KEY_USAGE, BASIC_CONSTRAINTS];

// RFC 5280 section 4.2.1.3, bits from the left: keyCertSign (5), cRLSign (6).
const KEY_CERT_SIGN = 0x80 >> 5;
const CRL_SIGN = 0x80 >> 6;

function refuse(what: string, fact: string): never {
  throw new QflareError("evidence.malformed", `${what}: ${fact}`);
}

const ECDSA: Readonly<Record<string, ClassicalAlgorithm>> = {
  "1.2.840.10045.4.3.2": "ECDSA-P256-SHA256",
  "1.2.840.10045.4.3.3": "ECDSA-P384-SHA384",
};
const RSASSA_PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";
const SHA384 = "2.16.840.1.101.3.4.2.2";

/** AlgorithmIdentifier of a signature. */
function readAlgorithm(raw: Bytes, what: string): ClassicalAlgorithm {
  const reader = enterDer(raw, what);
  const name = reader.objectIdentifier();
  if (name === RSASSA_PSS) {
    requirePssParameters(reader.enter(), what);
    reader.end();
    return "RSA-PSS-SHA384";
  }
  reader.end();
  return Object.hasOwn(ECDSA, name) ? ECDSA[name]! : refuse(what, `signature algorithm ${name} is not accepted`);
}

/** RFC 4055 section 3.1: SHA-384, MGF1 with SHA-384, salt of 48 bytes, trailer 1. */
function requirePssParameters(reader: DerReader, what: string): void {
  const hash = reader.enter(context(0)).enter().objectIdentifier();
  const mask = reader.enter(context(1)).enter();
  const maskName = mask.objectIdentifier();
  const maskHash = mask.enter().objectIdentifier();
  const salt = smallInteger(reader.enter(context(2)).integer(), what);
  if (reader.tag === context(3)) {
    if (smallInteger(reader.enter(context(3)).integer(), what) !== 1) refuse(what, "expected trailer field 1");
  }
  reader.end();
  const isExpected = hash === SHA384 && maskName === MGF1 && maskHash === SHA384 && salt === 48;
  if (!isExpected) refuse(what, "expected RSA-PSS with SHA-384 and a salt of 48 bytes");
}

/** The signature's bit string in the form that verification takes. */
function readSignature(algorithm: ClassicalAlgorithm, bits: Bytes, what: string): Bytes {
  if (algorithm === "RSA-PSS-SHA384") return bits;
  const fieldBytes = algorithm === "ECDSA-P256-SHA256" ? 32 : 48;
  const reader = enterDer(bits, what);
  const out = new Uint8Array(2 * fieldBytes);
  out.set(fixedInteger(reader.integer(), fieldBytes, what));
  out.set(fixedInteger(reader.integer(), fieldBytes, what), fieldBytes);
  reader.end();
  return out;
}

/** Milliseconds since 1970. RFC 5280 section 4.1.2.5: seconds and "Z" are there; two digits mean 1950 to 2049. */
export function readTime(reader: DerReader, what: string): number {
  const isShort = reader.tag === TAG.utcTime;
  const digits = fromAscii(reader.read(isShort ? TAG.utcTime : TAG.generalizedTime).body, what);
  const century = isShort ? (digits < "50" ? "20" : "19") : "";
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + digits);
  const [, year, month, day, hour, minute, second] = match ?? [];
  // A month 13 or an hour 24 is no date here.
  const ms = match === null ? Number.NaN : Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? refuse(what, "expected a time in UTC") : ms;
}

function fromAscii(bytes: Bytes, what: string): string {
  if (bytes.some((byte) => byte >= 0x80)) refuse(what, "expected ASCII");
  return fromUtf8(bytes);
}

interface Extension {
  readonly name: string;
  readonly isCritical: boolean;
  readonly value: Bytes;
}

function readExtension(reader: DerReader, what: string): Extension {
  const name = reader.objectIdentifier();
  const flag = reader.readOptional(TAG.boolean);
  if (flag !== undefined && flag.body.length !== 1) refuse(what, "expected TRUE or FALSE");
  const value = reader.read(TAG.octetString).body;
  reader.end();
  return { name, isCritical: flag !== undefined && !isZero(flag.body), value };
}

/** Contents by object identifier. Throws where a critical one is not understood, or one stands twice. */
export function readExtensions(list: DerReader, understood: readonly string[], what: string): Map<string, Bytes> {
  const found = new Map<string, Bytes>();
  while (!list.isAtEnd) {
    const { name, isCritical, value } = readExtension(list.enter(), what);
    if (found.has(name)) refuse(what, `extension ${name} stands twice`);
    if (isCritical && !understood.includes(name)) refuse(what, `critical extension ${name} is not understood`);
    found.set(name, value);
  }
  return found;
}

function readBasicConstraints(value: Bytes | undefined, what: string): { isCa: boolean; pathLengthMax: number } {
  if (value === undefined) return { isCa: false, pathLengthMax: 0 };
  const reader = enterDer(value, what);
  const isCa = reader.readOptional(TAG.boolean)?.body[0] === 0xff;
  const pathLengthMax = reader.isAtEnd ? Number.POSITIVE_INFINITY : smallInteger(reader.integer(), what);
  reader.end();
  return { isCa, pathLengthMax };
}

/** First byte of the bits; all set where the certificate does not restrict its key. */
function readKeyUsage(value: Bytes | undefined, what: string): number {
  if (value === undefined) return 0xff;
  const reader = new DerReader(value, what);
  const { body } = reader.read(TAG.bitString);
  reader.end();
  return body[1] ?? 0;
}

interface Signed {
  readonly tbs: Bytes;
  readonly algorithm: ClassicalAlgorithm;
  readonly signature: Bytes;
  /** AlgorithmIdentifier as it stands outside the signed part. */
  readonly algorithmRaw: Bytes;
  /** Into the signed part. */
  readonly reader: DerReader;
}

/** SEQUENCE { signed part, algorithm, signature }: the frame of certificates and revocation lists. */
export function readSigned(der: Bytes, what: string): Signed {
  const outer = enterDer(der, what);
  const signed = outer.read(TAG.sequence);
  const algorithmRaw = outer.read(TAG.sequence).raw;
  const algorithm = readAlgorithm(algorithmRaw, what);
  const signature = readSignature(algorithm, outer.bitString(), what);
  outer.end();
  return { tbs: signed.raw, algorithm, signature, algorithmRaw, reader: new DerReader(signed.body, what) };
}

/** Outside the signature the algorithm stands a second time: both must say the same. */
export function requireAlgorithm(reader: DerReader, expected: Bytes, what: string): void {
  if (!equal(reader.read(TAG.sequence).raw, expected)) refuse(what, "its two signature algorithms differ");
}

/** what: name of the certificate, for messages. Throws evidence.malformed. */
export function readCertificate(der: Bytes, what: string): Certificate {
  const { tbs, algorithm, signature, algorithmRaw, reader } = readSigned(der, what);
  const version = smallInteger(reader.enter(context(0)).integer(), what);
  if (version !== 2) refuse(what, `expected X.509 version 3, got ${version + 1}`);
  const serial = toHex(reader.integer());
  requireAlgorithm(reader, algorithmRaw, what);
  const issuer = reader.read(TAG.sequence).raw;
  const validity = reader.enter();
  const notBeforeMs = readTime(validity, what);
  const notAfterMs = readTime(validity, what);
  validity.end();
  const subject = reader.read(TAG.sequence).raw;
  const publicKey = reader.read(TAG.sequence).raw;
  const extensions = readExtensions(reader.enter(context(3)).enter(), UNDERSTOOD, what);
  reader.end();
  const keyUsage = readKeyUsage(extensions.get(KEY_USAGE), what);
  return {
    ...{ tbs, algorithm, signature, serial, issuer, subject, notBeforeMs, notAfterMs, publicKey, extensions },
    ...readBasicConstraints(extensions.get(BASIC_CONSTRAINTS), what),
    maySignCertificates: (keyUsage & KEY_CERT_SIGN) !== 0,
    maySignRevocations: (keyUsage & CRL_SIGN) !== 0,
  };
}

/** Text of the last attribute of a name, where AMD puts the common name. */
export function lastNameOf(name: Bytes): string {
  const reader = enterDer(name, "name");
  let last = "";
  while (!reader.isAtEnd) {
    const attribute = reader.enter(TAG.set).enter();
    attribute.objectIdentifier();
    last = fromAscii(attribute.readAny().body, "name");
  }
  return last;
}
