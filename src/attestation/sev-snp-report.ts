// The attestation report of SEV-SNP: AMD publication 56860, "SEV Secure Nested Paging Firmware ABI", table
// ATTESTATION_REPORT, versions 2 to 5. What is reserved inside the signed part is the firmware's to fill.

import { QflareError } from "../core/error.ts";
import { isZero, LayoutReader, littleEndian } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SIGNED_BYTES = 0x2a0;
const REPORT_BYTES = SIGNED_BYTES + 512;
const SCALAR_BYTES = 72; // room for r and s; P-384 uses 48
const P384_BYTES = 48;
const ECDSA_P384_SHA384 = 1;

export type SevSnpKey = "VCEK" | "VLEK";

export interface SevSnpReport {
  readonly version: number;
  readonly vmpl: number;
  readonly debug: boolean;
  readonly hasMigrationAgent: boolean;
  readonly key: SevSnpKey;
  readonly reportData: Bytes;
  readonly measurement: Bytes;
  readonly hostData: Bytes;
  readonly familyId: Bytes;
  readonly imageId: Bytes;
  readonly idKeyDigest: Bytes;
  readonly authorKeyDigest: Bytes;
  /** Security versions in the product's own order. */
  readonly reportedTcb: Bytes;
  readonly chipId: Bytes;
  readonly signed: Bytes;
  /** r, then s, big-endian. */
  readonly signature: Bytes;
}

function refuse(fact: string): never {
  throw new QflareError("evidence.malformed", `report: ${fact}`);
}

/** Field at its offset, as the publication lists them. */
function field(report: Bytes, offset: number, length: number): Bytes {
  return report.subarray(offset, offset + length);
}

// Guest policy, section 4.3: 17 must be one.
const POLICY_RESERVED_ONE = 2 ** 17;
const POLICY_MIGRATION_AGENT = 2 ** 18;
const POLICY_DEBUG = 2 ** 19;

function hasBit(value: number, bit: number): boolean {
  return Math.floor(value / bit) % 2 === 1;
}

function readKey(flags: number): SevSnpKey {
  const selection = (flags >> 2) & 7;
  if (selection === 0) return "VCEK";
  if (selection === 1) return "VLEK";
  return refuse(`expected a signature by VCEK (0) or VLEK (1), got ${selection}`);
}

/** Little-endian scalars with zeros above, to the form that verification takes. */
function readSignature(bytes: Bytes): Bytes {
  const reader = new LayoutReader(bytes, "report signature");
  const r = reader.take(SCALAR_BYTES);
  const s = reader.take(SCALAR_BYTES);
  const filling = [r.subarray(P384_BYTES), s.subarray(P384_BYTES), reader.rest()];
  if (!filling.every(isZero)) refuse("expected zeros around the signature");
  const out = new Uint8Array(2 * P384_BYTES);
  out.set(r.subarray(0, P384_BYTES).toReversed());
  out.set(s.subarray(0, P384_BYTES).toReversed(), P384_BYTES);
  return out;
}

/** Throws evidence.malformed. */
export function readSevSnpReport(report: Bytes): SevSnpReport {
  if (report.length !== REPORT_BYTES) refuse(`expected ${REPORT_BYTES} bytes, got ${report.length}`);
  const version = littleEndian(field(report, 0, 4));
  if (version < 2 || version > 5) refuse(`expected version 2 to 5, got ${version}`);
  const policy = littleEndian(field(report, 0x08, 4));
  if (!hasBit(policy, POLICY_RESERVED_ONE)) refuse("expected bit 17 of the guest policy to be one");
  const algorithm = littleEndian(field(report, 0x34, 4));
  if (algorithm !== ECDSA_P384_SHA384) refuse(`expected signature algorithm 1, got ${algorithm}`);
  return {
    version,
    vmpl: littleEndian(field(report, 0x30, 4)),
    debug: hasBit(policy, POLICY_DEBUG),
    hasMigrationAgent: hasBit(policy, POLICY_MIGRATION_AGENT),
    key: readKey(littleEndian(field(report, 0x48, 4))),
    reportData: field(report, 0x50, 64),
    measurement: field(report, 0x90, 48),
    hostData: field(report, 0xc0, 32),
    familyId: field(report, 0x10, 16),
    imageId: field(report, 0x20, 16),
    idKeyDigest: field(report, 0xe0, 48),
    authorKeyDigest: field(report, 0x110, 48),
    reportedTcb: field(report, 0x180, 8),
    chipId: field(report, 0x1a0, 64),
    signed: field(report, 0, SIGNED_BYTES),
    signature: readSignature(field(report, SIGNED_BYTES, REPORT_BYTES - SIGNED_BYTES)),
  };
}
