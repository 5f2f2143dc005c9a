// Deterministic CBOR (RFC 8949 section 4.2): one form for each value, so that what is signed is what was read.

import { decode, encode, rfc8949EncodeOptions } from "cborg";
import { equal } from "./bytes.ts";
import { QflareError } from "./error.ts";

/** Values are whole numbers, finite floats, booleans, null, text, Uint8Array, arrays and plain objects. */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encode(value, rfc8949EncodeOptions));
}

/**
 * Maps come back as Map, so that no key can reach a prototype. Refuses what is longer than lengthMax, trailing bytes,
 * duplicate keys, indefinite lengths, tags, undefined, and every form that encodeCbor would not have written.
 */
export function decodeCbor(bytes: Uint8Array, lengthMax: number): unknown {
  if (bytes.length > lengthMax) {
    throw new QflareError("message.too_large", `expected at most ${lengthMax} bytes, got ${bytes.length}`);
  }
  let value: unknown;
  try {
    value = decode(bytes, {
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
  if (!equal(encodeCbor(value), bytes)) throw new QflareError("message.malformed", "expected deterministic CBOR");
  return value;
}
