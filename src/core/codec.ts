// Deterministic CBOR (RFC 8949 section 4.2): one form for each value, so that what is signed is what was read.

import { decode, encodeInto, rfc8949EncodeOptions } from "cborg";
import { concat, equal, ownBytes, wipe } from "./bytes.ts";
import { QflareError } from "./error.ts";
import { LIMITS } from "./limits.ts";

/** Values are whole numbers, finite floats, booleans, null, text, Uint8Array, arrays, and maps or objects of them. */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  // Left to itself cborg writes into pieces that nobody can wipe, the first of them used again and again.
  const scratch = ownBytes(lengthBound(value));
  const { written } = encodeInto(value, scratch, rfc8949EncodeOptions);
  const out = concat(scratch.subarray(0, written));
  wipe(scratch);
  return out;
}

const HEAD_BYTES_MAX = 9; // RFC 8949 section 3: a first byte and up to 8 of argument

/** At least as many bytes as the value's encoding. */
function lengthBound(value: unknown): number {
  if (typeof value === "string") return HEAD_BYTES_MAX + 3 * value.length;
  if (typeof value !== "object" || value === null) return HEAD_BYTES_MAX;
  if (value instanceof Uint8Array) return HEAD_BYTES_MAX + value.length;
  let length = HEAD_BYTES_MAX;
  if (Array.isArray(value)) for (const entry of value) length += lengthBound(entry);
  else {
    const entries = value instanceof Map ? value : Object.entries(value);
    for (const [key, entry] of entries) length += lengthBound(key) + lengthBound(entry);
  }
  return length;
}

/**
 * Maps come back as Map, so that no key can reach a prototype. Refuses what is longer than lengthMax, trailing bytes,
 * duplicate keys and keys that are not text, deep nesting, indefinite lengths, tags, undefined, and every form that
 * encodeCbor would not have written.
 */
export function decodeCbor(bytes: Uint8Array, lengthMax: number): unknown {
  if (bytes.length > lengthMax) {
    throw new QflareError("message.too_large", `expected at most ${lengthMax} bytes, got ${bytes.length}`);
  }
  let value: unknown;
  try {
    // Of a Buffer, byte strings would come back as views of what belongs to the caller.
    value = decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), {
      strict: true,
      useMaps: true,
      rejectDuplicateMapKeys: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      allowBigInt: false,
    });
  } catch (cause) {
    throw new QflareError("message.malformed", undefined, { cause });
  }
  requireShallow(value, LIMITS.messageDepthMax);
  const again = encodeCbor(value);
  const isDeterministic = equal(again, bytes);
  wipe(again);
  if (!isDeterministic) throw new QflareError("message.malformed", "expected deterministic CBOR");
  return value;
}

/**
 * CBOR as others write it, for what their signature covers as bytes: indefinite lengths, longer forms and keys of other
 * types are taken. Refuses what is longer than lengthMax, trailing bytes, duplicate keys, deep nesting and tags.
 */
export function decodeForeignCbor(bytes: Uint8Array, lengthMax: number): unknown {
  if (bytes.length > lengthMax) {
    throw new QflareError("message.too_large", `expected at most ${lengthMax} bytes, got ${bytes.length}`);
  }
  try {
    return decode(bytes, { useMaps: true, rejectDuplicateMapKeys: true, allowIndefinite: true });
  } catch (cause) {
    throw new QflareError("message.malformed", undefined, { cause });
  }
}

/** Whatever walks the value later does so by recursion: nesting must not reach the end of its stack. */
function requireShallow(value: unknown, levels: number): void {
  if (!Array.isArray(value) && !(value instanceof Map)) return;
  if (levels === 0) throw new QflareError("message.malformed", `expected at most ${LIMITS.messageDepthMax} levels`);
  if (value instanceof Map) {
    for (const key of value.keys()) {
      if (typeof key !== "string") throw new QflareError("message.malformed", "expected keys of text");
    }
  }
  for (const entry of value.values()) requireShallow(entry, levels - 1);
}
