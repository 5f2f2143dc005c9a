// Rows of A by OpenSSL's AES-128, in whichever of two modes this processor is faster at. Both give the same A.
//
// ECB runs on vectors of 128 bits everywhere; XTS on those of 512 bits where OpenSSL 3.5 finds them. XTS (IEEE 1619)
// encrypts a block x to AES(x ^ t) ^ t, where t is the tweak, encrypted under a second key, times a power of 2 in
// GF(2^128). With a tweak that encrypts to zero every t is zero, and XTS is ECB.

import { createCipheriv, createDecipheriv, getCiphers, randomBytes } from "node:crypto";
import { concat } from "../core/bytes.ts";
import { SEED_A_BYTES } from "./frodo-parameters.ts";
import type { RowSource } from "./frodo-primitives.ts";

/** Keyed with a seed, which is public as its blocks are, it encrypts whole blocks. */
export type BlockCipher = (seedA: Uint8Array) => (blocks: Uint8Array) => Buffer;

const PROBE_BYTES = 200_000;
/** The first dozen calls are slow: the engine has yet to compile what makes a cipher. */
const PROBE_ROUNDS = 24;

/** Eight coefficients are AES-128(seedA, row | column | 0 ...), row and column as 16-bit little-endian words. */
export function nativeAesRows(n: number): RowSource {
  // For all of A: to count the row up from stripe to stripe would cost a sixth of the encryption.
  let blocks: Uint8Array | undefined;
  let cipher: BlockCipher | undefined;
  return (seedA) => {
    blocks ??= indexBlocks(n);
    cipher ??= getCiphers().includes("aes-128-xts") ? fasterOf(ecb, xtsAsEcb()) : ecb;
    const [input, encrypt] = [blocks, cipher(seedA)];
    return (out, rowFirst) => {
      const start = rowFirst * 2 * n;
      const encrypted = encrypt(input.subarray(start, start + out.length));
      out.set(encrypted);
      release(encrypted);
    };
  };
}

export function ecb(seedA: Uint8Array): ReturnType<BlockCipher> {
  const cipher = createCipheriv("aes-128-ecb", seedA, null).setAutoPadding(false);
  return (blocks) => cipher.update(blocks);
}

/** Draws its second key, since OpenSSL refuses two equal keys, and a seed comes from anyone. */
export function xtsAsEcb(): BlockCipher {
  const tweakKey = randomBytes(SEED_A_BYTES);
  const tweak = createDecipheriv("aes-128-ecb", tweakKey, null).setAutoPadding(false).update(Buffer.alloc(16));
  return (seedA) => {
    const keys = concat(seedA, tweakKey);
    return (blocks) => createCipheriv("aes-128-xts", keys, tweak).update(blocks); // one data unit a cipher
  };
}

/** By the least times, taken in turn, as other work only adds to a time. The slower one would be right too. */
function fasterOf(first: BlockCipher, second: BlockCipher): BlockCipher {
  const [seed, blocks] = [randomBytes(SEED_A_BYTES), new Uint8Array(PROBE_BYTES)];
  const [encryptFirst, encryptSecond] = [first(seed), second(seed)];
  let [firstMs, secondMs] = [Infinity, Infinity];
  for (let i = 0; i < PROBE_ROUNDS; i++) {
    firstMs = Math.min(firstMs, timeMs(encryptFirst, blocks));
    secondMs = Math.min(secondMs, timeMs(encryptSecond, blocks));
  }
  return firstMs < secondMs ? first : second;
}

function timeMs(encrypt: ReturnType<BlockCipher>, blocks: Uint8Array): number {
  const startMs = performance.now();
  release(encrypt(blocks));
  return performance.now() - startMs;
}

/** Returns the pages at once: left to the GC, each call takes fresh ones, and faults cost more than the cipher. */
function release(encrypted: Buffer): void {
  if (encrypted.buffer.byteLength === encrypted.length) (encrypted.buffer as ArrayBuffer).transfer(0);
}

function indexBlocks(n: number): Uint8Array {
  const words = new Uint16Array(n * n);
  for (let at = 0; at < words.length; at += 8) {
    words[at] = Math.floor(at / n);
    words[at + 1] = at % n;
  }
  return new Uint8Array(words.buffer);
}
