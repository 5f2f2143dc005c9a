// HKDF (RFC 5869) with SHA-384, extract and expand apart, as a key schedule of several secrets needs them.

import { ownBytes, wipe } from "../core/bytes.ts";
import { hmacSha384, SHA384_BYTES } from "./hash.ts";

/** A salt of no bytes stands for 48 zero bytes. Returns 48 bytes. */
export function extract(salt: Uint8Array, secret: Uint8Array): Uint8Array<ArrayBuffer> {
  return hmacSha384(salt, secret);
}

/** length: 1 to 255 * 48 bytes. */
export function expand(pseudoRandomKey: Uint8Array, info: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  if (length < 1 || length > 255 * SHA384_BYTES) throw new RangeError(`HKDF length out of range: ${length}`);
  const out = ownBytes(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let i = 1, offset = 0; offset < length; i++, offset += SHA384_BYTES) {
    const next = hmacSha384(pseudoRandomKey, block, info, Uint8Array.of(i));
    wipe(block);
    block = next;
    out.set(block.subarray(0, length - offset), offset);
  }
  wipe(block);
  return out;
}
