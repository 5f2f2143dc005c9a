// Certificate revocation lists (RFC 5280 section 5).

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { ClassicalAlgorithm } from "../crypto/classical-signature.ts";
import { context, type DerReader, smallInteger, TAG } from "./der.ts";
import { readExtensions, readSigned, readTime, requireAlgorithm } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface RevocationList {
  readonly tbs: Bytes;
  readonly algorithm: ClassicalAlgorithm;
  readonly signature: Bytes;
  /** Name as DER. */
  readonly issuer: Bytes;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Serial numbers in hexadecimal. */
  readonly revoked: ReadonlySet<string>;
}

// Lists for some certificates alone (issuingDistributionPoint) and differences to older lists (deltaCRLIndicator) are
// critical: not being understood here they are refused.
const UNDERSTOOD: readonly string[] = [];

function readRevoked(list: DerReader, what: string): Set<string> {
  const serials = new Set<string>();
  while (!list.isAtEnd) {
    const entry = list.enter();
    serials.add(toHex(entry.integer()));
    readTime(entry, what);
    if (entry.tag === TAG.sequence) readExtensions(entry.enter(), UNDERSTOOD, what);
    entry.end();
  }
  return serials;
}

/** Throws evidence.malformed; a list that never expires included. */
export function readRevocationList(der: Bytes, what: string): RevocationList {
  const { tbs, algorithm, signature, algorithmRaw, reader } = readSigned(der, what);
  const version = smallInteger(reader.integer(), what);
  if (version !== 1) throw new QflareError("evidence.malformed", `${what}: expected version 2, got ${version + 1}`);
  requireAlgorithm(reader, algorithmRaw, what);
  const issuer = reader.read(TAG.sequence).raw;
  const thisUpdateMs = readTime(reader, what);
  const nextUpdateMs = readTime(reader, what);
  const revoked = reader.tag === TAG.sequence ? readRevoked(reader.enter(), what) : new Set<string>();
  readExtensions(reader.enter(context(0)).enter(), UNDERSTOOD, what);
  reader.end();
  return { tbs, algorithm, signature, issuer, thisUpdateMs, nextUpdateMs, revoked };
}
