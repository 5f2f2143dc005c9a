// FrodoKEM's primitives by node:crypto, but for rows by SHAKE: there the kernel's two sponges side by side take half of
// the time of a call a row.

import type { FrodoPrimitives, RowGenerator, RowSource } from "./frodo-primitives.ts";
import { Keccak } from "./keccak.ts";
import { aes128Ecb, randomBytes, shake } from "./native.ts";

export const NATIVE_PRIMITIVES: FrodoPrimitives = { shake, randomBytes, rows };

function rows(generator: RowGenerator, n: number): RowSource {
  return generator === "AES" ? aesRows(n) : new Keccak().rows(n);
}

/** Eight coefficients are AES-128(seedA, row | column | 0 ...), row and column as 16-bit little-endian words. */
function aesRows(n: number): RowSource {
  // For all of A: to count the row up from stripe to stripe would cost a sixth of the encryption.
  let blocks: Uint8Array | undefined;
  return (seedA) => {
    const encrypt = aes128Ecb(seedA);
    blocks ??= indexBlocks(n);
    const input = blocks;
    return (out, rowFirst) => {
      const start = rowFirst * 2 * n;
      encrypt(input.subarray(start, start + out.length), out);
    };
  };
}

function indexBlocks(n: number): Uint8Array {
  const words = new Uint16Array(n * n);
  for (let at = 0; at < words.length; at += 8) {
    words[at] = Math.floor(at / n);
    words[at + 1] = at % n;
  }
  return new Uint8Array(words.buffer);
}
