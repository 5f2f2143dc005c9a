// Sealed blobs of any length: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015) over
// AES-256-GCM, with a commitment to the key in the header, since GCM alone lets one ciphertext open under two keys.
//
//   header   magic 4 "QFS1" | chunk length u32 | salt 32 | key commitment 32
//   chunk i  AES-256-GCM(key, nonce = prefix 7 | i u32 | last 1, no associated data), tag 16 behind it
//
// key, commitment and prefix come by HKDF-SHA-384 from the secret, with salt, chunk length and the caller's context: a
// blob opens under its own context alone. Chunks are full but the last one, which may be short and is never missing.

import { concat, equal, lengthPrefixed, readU32be, takeOver, u32be, utf8, wipe } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_KEY_BYTES, AEAD_TAG_BYTES, openAeadInto, sealAeadInto } from "./aead.ts";
import { expand, extract } from "./hkdf.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const MAGIC = "QFS1";
export const SEAL_LABEL = "qflare/v1 seal";
const SALT_BYTES = 32;
const COMMITMENT_BYTES = 32;
const PREFIX_BYTES = 7;
/** Tiny chunks would let a sender make the opener pay a cipher call and a tag for every few bytes. */
const CHUNK_BYTES_MIN = 4096;
const CHUNK_BYTES_MAX = 2 ** 20;

const SEAL_HEADER_BYTES: number = 4 + 4 + SALT_BYTES + COMMITMENT_BYTES; // 72

const NOTHING: Uint8Array = /* @__PURE__ */ new Uint8Array(0);

interface SealKeys {
  readonly key: Bytes;
  readonly commitment: Bytes;
  readonly prefix: Bytes;
}

function deriveKeys(secret: Uint8Array, salt: Uint8Array, chunkBytes: number, context: Uint8Array): SealKeys {
  const root = extract(salt, secret);
  const info = lengthPrefixed(utf8(SEAL_LABEL), u32be(chunkBytes), context);
  const material = expand(root, info, AEAD_KEY_BYTES + COMMITMENT_BYTES + PREFIX_BYTES);
  const keys = {
    key: takeOver(material.subarray(0, AEAD_KEY_BYTES)),
    commitment: material.slice(AEAD_KEY_BYTES, AEAD_KEY_BYTES + COMMITMENT_BYTES),
    prefix: material.slice(AEAD_KEY_BYTES + COMMITMENT_BYTES),
  };
  wipe(root, material);
  return keys;
}

function chunkNonce(prefix: Uint8Array, index: number, isLast: boolean): Bytes {
  return concat(prefix, u32be(index), Uint8Array.of(isLast ? 1 : 0));
}

function isChunkLength(chunkBytes: number): boolean {
  return Number.isInteger(chunkBytes) && chunkBytes >= CHUNK_BYTES_MIN && chunkBytes <= CHUNK_BYTES_MAX;
}

function chunkCount(plaintextLength: number, chunkBytes: number): number {
  return Math.max(1, Math.ceil(plaintextLength / chunkBytes));
}

/** Length in bytes of the sealed form of plaintextLength bytes. */
export function sealedLength(plaintextLength: number, chunkBytes: number = LIMITS.chunkBytes): number {
  return SEAL_HEADER_BYTES + plaintextLength + AEAD_TAG_BYTES * chunkCount(plaintextLength, chunkBytes);
}

/**
 * secret: fresh for each blob or at least 32 random bytes; stays the caller's to wipe. chunkBytes: 4 KiB to 1 MiB.
 */
export function seal(
  secret: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
  random: Random,
  chunkBytes: number = LIMITS.chunkBytes,
): Bytes {
  if (!isChunkLength(chunkBytes)) throw new RangeError(`chunk length out of range: ${chunkBytes}`);
  const salt = random.bytes(SALT_BYTES);
  const keys = deriveKeys(secret, salt, chunkBytes, context);
  const out = new Uint8Array(sealedLength(plaintext.length, chunkBytes));
  out.set(concat(utf8(MAGIC), u32be(chunkBytes), salt, keys.commitment));
  const count = chunkCount(plaintext.length, chunkBytes);
  for (let i = 0; i < count; i++) {
    const nonce = chunkNonce(keys.prefix, i, i === count - 1);
    const chunk = plaintext.subarray(i * chunkBytes, (i + 1) * chunkBytes);
    const place = out.subarray(SEAL_HEADER_BYTES + i * (chunkBytes + AEAD_TAG_BYTES));
    sealAeadInto(place, keys.key, nonce, NOTHING, chunk);
  }
  wipe(keys.key);
  return out;
}

/** undefined where the blob is not whole, altered, or sealed under another secret or context. */
export function open(secret: Uint8Array, context: Uint8Array, sealed: Uint8Array): Bytes | undefined {
  const header = readHeader(sealed);
  if (header === undefined) return undefined;
  const { chunkBytes, salt, commitment } = header;
  const keys = deriveKeys(secret, salt, chunkBytes, context);
  const body = sealed.subarray(SEAL_HEADER_BYTES);
  const out = equal(keys.commitment, commitment) ? openChunks(keys, chunkBytes, body) : undefined;
  wipe(keys.key);
  return out;
}

function openChunks(keys: SealKeys, chunkBytes: number, body: Uint8Array): Bytes | undefined {
  const stride = chunkBytes + AEAD_TAG_BYTES;
  const count = Math.max(1, Math.ceil(body.length / stride));
  // Cut inside its last tag, the chunks before it would hold more than the lengths promise.
  if (body.length - (count - 1) * stride < AEAD_TAG_BYTES) return undefined;
  const out = new Uint8Array(body.length - count * AEAD_TAG_BYTES);
  for (let i = 0; i < count; i++) {
    const nonce = chunkNonce(keys.prefix, i, i === count - 1);
    const chunk = body.subarray(i * stride, (i + 1) * stride);
    const isEmpty = chunk.length === AEAD_TAG_BYTES && count > 1;
    if (isEmpty || !openAeadInto(out.subarray(i * chunkBytes), keys.key, nonce, NOTHING, chunk)) {
      wipe(out);
      return undefined;
    }
  }
  return out;
}

function readHeader(sealed: Uint8Array): { chunkBytes: number; salt: Uint8Array; commitment: Uint8Array } | undefined {
  if (sealed.length < SEAL_HEADER_BYTES || !equal(sealed.subarray(0, 4), utf8(MAGIC))) return undefined;
  const chunkBytes = readU32be(sealed, 4);
  if (!isChunkLength(chunkBytes)) return undefined;
  return { chunkBytes, salt: sealed.subarray(8, 8 + SALT_BYTES), commitment: sealed.subarray(8 + SALT_BYTES, 72) };
}
