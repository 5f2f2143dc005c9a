// Sealing and opening of blobs that come in pieces of any length. Holds one chunk at a time and one piece of the input.
// The bytes are those of chunked-seal.ts.

import { concat, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_TAG_BYTES } from "./aead-sizes.ts";
import { checkBytes } from "./argument.ts";
import { PLATFORM } from "./native-platform.ts";
import { chunkNonce, SEAL_HEADER_BYTES, type SealKeys, startOpen, startSeal } from "./seal-format.ts";

type Pieces = AsyncIterable<Uint8Array>;

/**
 * The header, then chunk after chunk. secret: 32 random bytes or more, or at least 16 that are fresh for this blob;
 * stays the caller's to wipe. chunkBytes: 4 KiB to 1 MiB. Throws TypeError for what is no bytes, RangeError for what is
 * too short or too long.
 */
export async function* sealStream(
  secret: Uint8Array,
  context: Uint8Array,
  plaintext: Pieces,
  random: Random,
  chunkBytes: number = LIMITS.chunkBytes,
): AsyncGenerator<Uint8Array> {
  const { header, keys } = startSeal(secret, context, random, chunkBytes);
  const cutter = new Cutter(plaintext);
  try {
    const cipher = await PLATFORM.chunkCipher(keys.key);
    yield header;
    for await (const { bytes, index, isLast } of cutter.chunks(chunkBytes)) {
      yield await cipher.seal(chunkNonce(keys, index, isLast), bytes);
    }
  } finally {
    wipe(keys.material);
    await cutter.close();
  }
}

/**
 * Chunk after chunk of the plaintext, each authentic in its place. Throws seal.broken where the next one is not, and
 * where the blob ends too early: what came before is then a true beginning, to be dropped by whoever needs the whole.
 * Throws for a secret and a context that are none as sealStream does.
 */
export async function* openStream(secret: Uint8Array, context: Uint8Array, sealed: Pieces): AsyncGenerator<Uint8Array> {
  const cutter = new Cutter(sealed);
  let keys: SealKeys | undefined;
  try {
    keys = startOpen(secret, context, await cutter.take(SEAL_HEADER_BYTES));
    if (keys === undefined) throw new QflareError("seal.broken", "expected a header for this key and place");
    yield* openChunks(keys, cutter);
  } finally {
    if (keys !== undefined) wipe(keys.material);
    await cutter.close();
  }
}

async function* openChunks(keys: SealKeys, cutter: Cutter): AsyncGenerator<Uint8Array> {
  const cipher = await PLATFORM.chunkCipher(keys.key);
  for await (const { bytes, index, isLast } of cutter.chunks(keys.chunkBytes + AEAD_TAG_BYTES)) {
    const isEmpty = bytes.length === AEAD_TAG_BYTES && index > 0;
    const isOpen = !isEmpty && bytes.length >= AEAD_TAG_BYTES;
    const plaintext = isOpen ? await cipher.open(chunkNonce(keys, index, isLast), bytes) : undefined;
    if (plaintext === undefined) throw new QflareError("seal.broken", `chunk ${index} does not hold`);
    yield plaintext;
  }
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly isLast: boolean;
}

/** Cuts pieces of any length into chunks of one length. */
class Cutter {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #hasEnded = false;

  constructor(pieces: Pieces) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** length bytes, or fewer where the pieces end. */
  async take(length: number): Promise<Uint8Array> {
    await this.#fill(length);
    return this.#cut(Math.min(length, this.#heldBytes));
  }

  /** At least one; the last may be short and is empty only where there is nothing. */
  async *chunks(length: number): AsyncGenerator<Chunk> {
    for (let index = 0, isLast = false; !isLast; index++) {
      // One byte more tells whether a full chunk is the last one.
      await this.#fill(length + 1);
      isLast = this.#heldBytes <= length;
      yield { bytes: this.#cut(Math.min(length, this.#heldBytes)), index, isLast };
    }
  }

  /** Tells whoever gives the pieces that no more are wanted. */
  async close(): Promise<void> {
    if (!this.#hasEnded) await this.#pieces.return?.();
    this.#hasEnded = true;
  }

  async #fill(length: number): Promise<void> {
    while (this.#heldBytes < length && !this.#hasEnded) {
      const { done, value } = await this.#pieces.next();
      this.#hasEnded = done === true;
      if (done) continue;
      checkBytes(value, "piece");
      if (value.length === 0) continue;
      this.#held.push(value);
      this.#heldBytes += value.length;
    }
  }

  /** Views where one piece holds all of it. */
  #cut(length: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let [missing, used] = [length, 0];
    while (missing > 0) {
      const piece = this.#held[used]!;
      const part = piece.subarray(0, missing);
      parts.push(part);
      missing -= part.length;
      if (part.length < piece.length) this.#held[used] = piece.subarray(part.length);
      else used++;
    }
    this.#held.splice(0, used);
    this.#heldBytes -= length;
    return parts.length === 1 ? parts[0]! : concat(...parts);
  }
}
