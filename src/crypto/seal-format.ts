// The form of a sealed blob: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015) over
// AES-256-GCM, with a commitment to the key in the header, since GCM alone lets one ciphertext open under two keys.
//
//   header   magic 4 "QFS1" | chunk length u32 | salt 32 | key commitment 32
//   chunk i  AES-256-GCM(key, nonce = prefix 7 | i u32 | last 1, no associated data), tag 16 behind it
//
// key, commitment and prefix come by HKDF-SHA-384 from the secret, with salt, chunk length and the caller's context: a
// blob opens under its own context alone. Chunks are full but the last one, which may be short and is never missing.

import { concat, equal, lengthPrefixed, readU32be, u32be, utf8, wipe, writeU32be } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES, AEAD_TAG_BYTES } from "./aead-sizes.ts";
import { checkBytes } from "./argument.ts";
import { PLATFORM } from "./native-platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const MAGIC = "QFS1";
export const SEAL_LABEL = "qflare/v1 seal";
const SALT_BYTES = 32;
const COMMITMENT_BYTES = 32;
const PREFIX_BYTES = 7;
/** The shared secret of FrodoKEM-640, which is fresh for its blob. */
const SECRET_BYTES_MIN = 16;
/** Tiny chunks would let a sender make the opener pay a cipher call and a tag for every few bytes. */
const CHUNK_BYTES_MIN = 4096;
const CHUNK_BYTES_MAX = 2 ** 20;

export const SEAL_HEADER_BYTES: number = 4 + 4 + SALT_BYTES + COMMITMENT_BYTES; // 72

/** What one blob is sealed or opened with. wipe(material) ends it; the others are views of it. */
export interface SealKeys {
  readonly chunkBytes: number;
  readonly material: Bytes;
  readonly key: Uint8Array;
  readonly commitment: Uint8Array;
  readonly prefix: Uint8Array;
}

/**
 * secret: 32 random bytes or more, or at least 16 that are fresh for this blob; stays the caller's to wipe. chunkBytes:
 * 4 KiB to 1 MiB. Throws TypeError for what is no bytes, RangeError for what is too short or too long.
 */
export function startSeal(
  secret: Uint8Array,
  context: Uint8Array,
  random: Random,
  chunkBytes: number,
): { header: Bytes; keys: SealKeys } {
  checkPlace(secret, context);
  if (!isChunkLength(chunkBytes)) throw new RangeError(`chunk length out of range: ${chunkBytes}`);
  const salt = random.bytes(SALT_BYTES);
  const keys = deriveKeys(secret, salt, chunkBytes, context);
  return { header: concat(utf8(MAGIC), u32be(chunkBytes), salt, keys.commitment), keys };
}

/**
 * header: the first SEAL_HEADER_BYTES, or fewer. undefined where they are no header for this secret and context. Throws
 * as startSeal does.
 */
export function startOpen(secret: Uint8Array, context: Uint8Array, header: Uint8Array): SealKeys | undefined {
  checkPlace(secret, context);
  if (header.length < SEAL_HEADER_BYTES || !equal(header.subarray(0, 4), utf8(MAGIC))) return undefined;
  const chunkBytes = readU32be(header, 4);
  if (!isChunkLength(chunkBytes)) return undefined;
  const keys = deriveKeys(secret, header.subarray(8, 8 + SALT_BYTES), chunkBytes, context);
  if (equal(keys.commitment, header.subarray(8 + SALT_BYTES, SEAL_HEADER_BYTES))) return keys;
  wipe(keys.material);
  return undefined;
}

/** A string would bind a blob to nothing, and an empty secret would hide it from nobody. */
function checkPlace(secret: Uint8Array, context: Uint8Array): void {
  checkBytes(secret, "secret");
  checkBytes(context, "context");
  if (secret.length >= SECRET_BYTES_MIN) return;
  throw new RangeError(`Cannot use secret: expected at least ${SECRET_BYTES_MIN} bytes, got ${secret.length}`);
}

function deriveKeys(secret: Uint8Array, salt: Uint8Array, chunkBytes: number, context: Uint8Array): SealKeys {
  const info = lengthPrefixed(utf8(SEAL_LABEL), u32be(chunkBytes), context);
  const prefixStart = AEAD_KEY_BYTES + COMMITMENT_BYTES;
  const material = PLATFORM.hkdf("sha384", secret, salt, info, prefixStart + PREFIX_BYTES);
  return {
    chunkBytes,
    material,
    key: material.subarray(0, AEAD_KEY_BYTES),
    commitment: material.subarray(AEAD_KEY_BYTES, prefixStart),
    prefix: material.subarray(prefixStart),
  };
}

export function chunkNonce({ prefix }: SealKeys, index: number, isLast: boolean): Bytes {
  const nonce = new Uint8Array(AEAD_NONCE_BYTES);
  nonce.set(prefix);
  writeU32be(nonce, index, PREFIX_BYTES);
  nonce[AEAD_NONCE_BYTES - 1] = isLast ? 1 : 0;
  return nonce;
}

function isChunkLength(chunkBytes: number): boolean {
  return Number.isInteger(chunkBytes) && chunkBytes >= CHUNK_BYTES_MIN && chunkBytes <= CHUNK_BYTES_MAX;
}

export function chunkCount(plaintextLength: number, chunkBytes: number): number {
  return Math.max(1, Math.ceil(plaintextLength / chunkBytes));
}

/** Length in bytes of the sealed form of plaintextLength bytes. */
export function sealedLength(plaintextLength: number, chunkBytes: number = LIMITS.chunkBytes): number {
  return SEAL_HEADER_BYTES + plaintextLength + AEAD_TAG_BYTES * chunkCount(plaintextLength, chunkBytes);
}
