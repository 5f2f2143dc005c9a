// The attestation document of AWS Nitro Enclaves: COSE_Sign1 (RFC 9052 section 4.2) around a map, as the AWS Nitro
// Enclaves user guide lays it out ("Verifying the root of trust"). The hypervisor writes CBOR with indefinite lengths.

import { decodeForeignCbor, encodeCbor } from "../core/codec.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface NitroDocument {
  readonly moduleId: string;
  readonly timestampMs: number;
  /** By index; 48 bytes each. */
  readonly pcrs: ReadonlyMap<number, Bytes>;
  /** DER, leaf first, root last. */
  readonly certificates: readonly Bytes[];
  /** Empty where there is none. */
  readonly userData: Bytes;
  readonly nonce: Bytes;
  /** Sig_structure: what is signed. */
  readonly signed: Bytes;
  /** r, then s on P-384. */
  readonly signature: Bytes;
}

const COSE_SIGN1_TAG = 0xd2;
const ALGORITHM = 1;
const ES384 = -35;
const PCR_BYTES = 48;
const PCRS_MAX = 32;
const SIGNATURE_BYTES = 2 * 48;
const CERTIFICATE_BYTES_MAX = 1024;
const FIELD_BYTES_MAX = 1024;

function refuse(fact: string): never {
  throw new QflareError("evidence.malformed", `document: ${fact}`);
}

function asBytes(value: unknown, lengthMin: number, lengthMax: number, name: string): Bytes {
  const isFitting = value instanceof Uint8Array && value.length >= lengthMin && value.length <= lengthMax;
  return isFitting ? new Uint8Array(value) : refuse(`${name}: expected ${lengthMin} to ${lengthMax} bytes`);
}

function asMap(value: unknown, name: string): Map<unknown, unknown> {
  return value instanceof Map ? value : refuse(`${name}: expected a map`);
}

function optional(value: unknown, name: string): Bytes {
  return value === null || value === undefined ? new Uint8Array(0) : asBytes(value, 0, FIELD_BYTES_MAX, name);
}

function readPcrs(value: unknown): Map<number, Bytes> {
  const pcrs = new Map<number, Bytes>();
  for (const [index, pcr] of asMap(value, "pcrs")) {
    const isIndex = typeof index === "number" && Number.isInteger(index) && index >= 0 && index < PCRS_MAX;
    if (!isIndex) refuse(`pcrs: expected an index from 0 to ${PCRS_MAX - 1}`);
    pcrs.set(index, asBytes(pcr, PCR_BYTES, PCR_BYTES, `pcr${index}`));
  }
  for (const index of [0, 1, 2]) if (!pcrs.has(index)) refuse(`pcrs: expected pcr${index}`);
  return pcrs;
}

function readCertificates(leaf: unknown, bundle: unknown): Bytes[] {
  const isList = Array.isArray(bundle) && bundle.length >= 1 && bundle.length < LIMITS.certificatesMax;
  if (!isList) refuse(`cabundle: expected 1 to ${LIMITS.certificatesMax - 1} certificates`);
  const cas = bundle.map((der, i) => asBytes(der, 1, CERTIFICATE_BYTES_MAX, `cabundle[${i}]`));
  return [asBytes(leaf, 1, CERTIFICATE_BYTES_MAX, "certificate"), ...cas.reverse()];
}

function readPayload(payload: Bytes): Omit<NitroDocument, "signed" | "signature"> {
  const fields = asMap(decodeForeignCbor(payload, LIMITS.evidenceBytesMax), "payload");
  const moduleId = fields.get("module_id");
  const timestamp = fields.get("timestamp");
  const digest = fields.get("digest");
  if (typeof moduleId !== "string" || moduleId === "") refuse("module_id: expected text");
  if (digest !== "SHA384") refuse(`digest: expected "SHA384"`);
  if (typeof timestamp !== "number" || !Number.isSafeInteger(timestamp) || timestamp <= 0) {
    refuse("timestamp: expected milliseconds");
  }
  return {
    moduleId,
    timestampMs: timestamp,
    pcrs: readPcrs(fields.get("pcrs")),
    certificates: readCertificates(fields.get("certificate"), fields.get("cabundle")),
    userData: optional(fields.get("user_data"), "user_data"),
    nonce: optional(fields.get("nonce"), "nonce"),
  };
}

/** Nothing may stand outside the signature but the signature. */
function requireHeaders(protectedHeader: Bytes, unprotectedHeader: unknown): void {
  const header = asMap(decodeForeignCbor(protectedHeader, LIMITS.evidenceBytesMax), "protected header");
  if (header.size !== 1 || header.get(ALGORITHM) !== ES384) refuse("protected header: expected ES384 alone");
  if (asMap(unprotectedHeader, "unprotected header").size !== 0) refuse("unprotected header: expected none");
}

/** Throws evidence.malformed. The tag of COSE_Sign1 may be there or not. */
export function readNitroDocument(document: Bytes): NitroDocument {
  const isTagged = document[0] === COSE_SIGN1_TAG;
  const parts = decodeForeignCbor(isTagged ? document.subarray(1) : document, LIMITS.evidenceBytesMax);
  if (!Array.isArray(parts) || parts.length !== 4) refuse("expected the four parts of COSE_Sign1");
  const protectedHeader = asBytes(parts[0], 1, FIELD_BYTES_MAX, "protected header");
  requireHeaders(protectedHeader, parts[1]);
  const payload = asBytes(parts[2], 1, LIMITS.evidenceBytesMax, "payload");
  const signature = asBytes(parts[3], SIGNATURE_BYTES, SIGNATURE_BYTES, "signature");
  const signed = encodeCbor(["Signature1", protectedHeader, new Uint8Array(0), payload]);
  return { ...readPayload(payload), signed, signature };
}
