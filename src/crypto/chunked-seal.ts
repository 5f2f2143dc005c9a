// Sealing and opening of blobs that lie in memory whole; seal-stream.ts does it to blobs that come in pieces.

import { wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { openAead, openAeadInto, sealAeadInto } from "./aead.ts";
import { AEAD_TAG_BYTES } from "./aead-sizes.ts";
import {
  chunkCount,
  chunkNonce,
  SEAL_HEADER_BYTES,
  type SealKeys,
  sealedLength,
  startOpen,
  startSeal,
} from "./seal-format.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** So many bytes. */
export type Room = (length: number) => Bytes;

const NOTHING: Uint8Array = /* @__PURE__ */ new Uint8Array(0);

/** secret, chunkBytes and errors as for startSeal. */
export function seal(
  secret: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
  random: Random,
  chunkBytes: number = LIMITS.chunkBytes,
): Bytes {
  const { header, keys } = startSeal(secret, context, random, chunkBytes);
  const out = unwritten(sealedLength(plaintext.length, chunkBytes));
  out.set(header);
  const count = chunkCount(plaintext.length, chunkBytes);
  for (let i = 0; i < count; i++) {
    const nonce = chunkNonce(keys, i, i === count - 1);
    const chunk = plaintext.subarray(i * chunkBytes, (i + 1) * chunkBytes);
    const place = out.subarray(SEAL_HEADER_BYTES + i * (chunkBytes + AEAD_TAG_BYTES));
    sealAeadInto(place, keys.key, nonce, NOTHING, chunk);
  }
  wipe(keys.material);
  return out;
}

/**
 * undefined where the blob is not whole, altered, or sealed under another secret or context. room: gives the bytes that
 * the plaintext of this length is written to, new ones where absent; overwritten where a chunk does not hold.
 */
export function open(secret: Uint8Array, context: Uint8Array, sealed: Uint8Array, room?: Room): Bytes | undefined {
  const keys = startOpen(secret, context, sealed);
  if (keys === undefined) return undefined;
  try {
    return openChunks(keys, sealed.subarray(SEAL_HEADER_BYTES), room);
  } finally {
    wipe(keys.material);
  }
}

/**
 * Chunk after chunk in one buffer, which the next chunk overwrites. Throws seal.broken as openStream does: what came
 * before is then a true beginning, to be dropped by whoever needs the whole.
 */
export function* openPieces(secret: Uint8Array, context: Uint8Array, sealed: Uint8Array): Generator<Uint8Array> {
  const keys = startOpen(secret, context, sealed);
  const chunks = keys && chunksOf(keys, sealed.subarray(SEAL_HEADER_BYTES));
  if (keys === undefined || chunks === undefined) {
    if (keys !== undefined) wipe(keys.material);
    throw new QflareError("seal.broken", "expected a header and whole chunks for this key and place");
  }
  const place = new Uint8Array(keys.chunkBytes);
  try {
    for (let i = 0; i < chunks.length; i++) {
      if (!openChunk(place, keys, chunks, i)) throw new QflareError("seal.broken", `chunk ${i} does not hold`);
      yield place.subarray(0, chunks[i]!.length - AEAD_TAG_BYTES);
    }
  } finally {
    wipe(place, keys.material);
  }
}

function openChunks(keys: SealKeys, body: Uint8Array, room?: Room): Bytes | undefined {
  const chunks = chunksOf(keys, body);
  if (chunks === undefined) return undefined;
  // What is whole already needs no second place, and no first one to wipe: a fifth of the time of 100 kB.
  if (chunks.length === 1 && room === undefined) {
    return openAead(keys.key, chunkNonce(keys, 0, true), NOTHING, chunks[0]!);
  }
  const out = (room ?? unwritten)(body.length - chunks.length * AEAD_TAG_BYTES);
  for (let i = 0; i < chunks.length; i++) {
    if (!openChunk(out.subarray(i * keys.chunkBytes), keys, chunks, i)) {
      wipe(out);
      return undefined;
    }
  }
  return out;
}

/** undefined where it is cut inside its last tag: the chunks before it would hold more than the lengths promise. */
function chunksOf({ chunkBytes }: SealKeys, body: Uint8Array): Uint8Array[] | undefined {
  const stride = chunkBytes + AEAD_TAG_BYTES;
  const count = Math.max(1, Math.ceil(body.length / stride));
  if (body.length - (count - 1) * stride < AEAD_TAG_BYTES) return undefined;
  return Array.from({ length: count }, (_, i) => body.subarray(i * stride, (i + 1) * stride));
}

function openChunk(out: Uint8Array, keys: SealKeys, chunks: readonly Uint8Array[], i: number): boolean {
  const chunk = chunks[i]!;
  if (chunk.length === AEAD_TAG_BYTES && chunks.length > 1) return false;
  return openAeadInto(out, keys.key, chunkNonce(keys, i, i === chunks.length - 1), NOTHING, chunk);
}

/** Not zeros: every byte is written before anyone sees it, and zeros cost a tenth of the encryption. */
function unwritten(length: number): Bytes {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer as ArrayBuffer);
}
