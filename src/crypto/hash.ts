// SHA-2 and HMAC. SHA-256 names content (trees, identifiers), SHA-384 runs the protocol.

import { createHash, createHmac } from "node:crypto";
import { takeOver } from "../core/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const SHA256_BYTES = 32;
export const SHA384_BYTES = 48;

function digest(name: string, parts: readonly Uint8Array[]): Bytes {
  const hash = createHash(name);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** FIPS 180-4 over the concatenation of the parts. */
export const sha256 = (...parts: readonly Uint8Array[]): Bytes => digest("sha256", parts);
export const sha384 = (...parts: readonly Uint8Array[]): Bytes => digest("sha384", parts);
export const sha512 = (...parts: readonly Uint8Array[]): Bytes => digest("sha512", parts);

/** FIPS 198-1, 48 bytes, the caller's to wipe: derived keys are such codes. */
export function hmacSha384(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes {
  const mac = createHmac("sha384", key);
  for (const part of parts) mac.update(part);
  return takeOver(mac.digest());
}
