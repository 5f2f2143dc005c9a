// FrodoKEM's primitives by node:crypto, but for rows by SHAKE: there the kernel's two sponges side by side take half of
// the time of a call a row.

import { hash, randomFillSync } from "node:crypto";
import { ownBytes } from "../core/bytes.ts";
import type { FrodoPrimitives, RowGenerator, RowSource, ShakeBits } from "./frodo-primitives.ts";
import { Keccak } from "./keccak.ts";
import { nativeAesRows } from "./native-aes-rows.ts";

export const NATIVE_PRIMITIVES: FrodoPrimitives = { shake, randomBytes, rows };

/** One-shot, so that no sponge waits for the GC. */
function shake(bits: ShakeBits, input: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const out = hash(`shake${bits}`, input, { outputEncoding: "buffer", outputLength: length });
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return randomFillSync(ownBytes(length));
}

function rows(generator: RowGenerator, n: number): RowSource {
  return generator === "AES" ? nativeAesRows(n) : new Keccak().rows(n);
}
