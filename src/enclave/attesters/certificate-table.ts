// The certificates that a host passes to a SEV-SNP guest beside the report: "Guest-Hypervisor Communication Block
// Standardization" (AMD 56421), section 4.1.8.1. Entries of a GUID, an offset and a length, closed by a zero entry,
// then the certificates. The host is not trusted; whoever verifies the evidence checks what it gave.

import { isZero, LayoutReader, littleEndian } from "../../attestation/layout.ts";
import { toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const GUID_BYTES = 16;

/** In the order of a chain, leaf first: the key of the chip or of the cloud, then AMD's CAs. */
const CHAIN: readonly string[] = [
  "63da758d-e664-4564-adc5-f4b93be8accd", // VCEK
  "a8074bc2-a25a-483e-aae6-39c045a0b8a1", // VLEK
  "4ab7b379-bbac-4fe4-a02f-05aef327c782", // ASK or ASVK
  "c0b406a4-a803-4952-9743-3fb6014cd0ae", // ARK
];
const LEAVES = CHAIN.slice(0, 2);

function refuse(fact: string): never {
  throw new QflareError("evidence.failed", `certificates of the host: ${fact}`);
}

/** RFC 4122 with the first three fields little-endian, as UEFI writes it. */
function guidOf(bytes: Bytes): string {
  const part = (start: number, end: number): string => toHex(bytes.slice(start, end).reverse());
  const tail = toHex(bytes.subarray(8));
  return `${part(0, 4)}-${part(4, 6)}-${part(6, 8)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

function readTable(table: Bytes): Map<string, Bytes> {
  const found = new Map<string, Bytes>();
  const reader = new LayoutReader(table, "certificates of the host");
  for (let entries = 0; ; entries++) {
    const guid = reader.take(GUID_BYTES);
    const offset = littleEndian(reader.take(4));
    const length = littleEndian(reader.take(4));
    if (isZero(guid)) return found;
    if (entries === LIMITS.certificatesMax) refuse(`expected at most ${LIMITS.certificatesMax}`);
    if (length === 0 || offset + length > table.length) refuse(`an entry of ${length} bytes at ${offset} does not fit`);
    if (found.has(guidOf(guid))) refuse(`two entries of ${guidOf(guid)}`);
    found.set(guidOf(guid), table.slice(offset, offset + length));
  }
}

/** DER, leaf first. Throws evidence.failed where the table is broken or has no key that signs reports. */
export function certificatesOfHost(table: Bytes): Bytes[] {
  const found = table.length === 0 ? new Map<string, Bytes>() : readCoded(table);
  if (!LEAVES.some((guid) => found.has(guid))) refuse("expected one of VCEK or VLEK, got none");
  return CHAIN.map((guid) => found.get(guid)).filter((der) => der !== undefined);
}

function readCoded(table: Bytes): Map<string, Bytes> {
  try {
    return readTable(table);
  } catch (cause) {
    if (!(cause instanceof QflareError) || cause.code !== "evidence.malformed") throw cause;
    return refuse(cause.message);
  }
}
