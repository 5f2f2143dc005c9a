// FrodoKEM's primitives by node:crypto, but for rows by SHAKE: there the kernel's two sponges side by side take half of
// the time of a call a row.

import { createCipheriv, hash, randomFillSync } from "node:crypto";
import { ownBytes } from "../core/bytes.ts";
import type { FrodoPrimitives, RowGenerator, RowSource, ShakeBits } from "./frodo-primitives.ts";
import { Keccak } from "./keccak.ts";

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

/** Encrypts whole blocks of 16 bytes into out. For public keys and public blocks: it expands a seed. */
function aes128Ecb(key: Uint8Array): (blocks: Uint8Array, out: Uint8Array) => void {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
  return (blocks, out) => {
    const encrypted = cipher.update(blocks);
    out.set(encrypted);
    // Returns the pages at once: left to the GC, each call takes fresh ones, and faults cost more than the cipher.
    if (encrypted.buffer.byteLength === encrypted.length) encrypted.buffer.transfer(0);
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
