// SHA-2 and HMAC. SHA-256 names content (trees, identifiers), SHA-384 runs the protocol.

import { concat } from "../core/bytes.ts";
import { PLATFORM } from "./native-platform.ts";
import type { HashName } from "./platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const SHA256_BYTES = 32;
export const SHA384_BYTES = 48;

/** Up to here joining the parts costs less than a hash object that takes them one by one. */
const JOINED_BYTES_MAX = 1024;

function digest(name: HashName, parts: readonly Uint8Array[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length <= JOINED_BYTES_MAX) return PLATFORM.hash(name, concat(...parts));
  const hash = PLATFORM.startHash(name);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** FIPS 180-4 over the concatenation of the parts. */
export const sha256 = (...parts: readonly Uint8Array[]): Bytes => digest("sha256", parts);
export const sha384 = (...parts: readonly Uint8Array[]): Bytes => digest("sha384", parts);
export const sha512 = (...parts: readonly Uint8Array[]): Bytes => digest("sha512", parts);

/** FIPS 198-1, 48 bytes. */
export function hmacSha384(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes {
  const mac = PLATFORM.startHmac("sha384", key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}
