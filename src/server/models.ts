// Models at rest: sealed under a content key of their own, blob before row. The newest one that is not large is held in
// memory too, since every device of a round comes for it.

import { equal } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { openModel, sealModel } from "../wire/model.ts";
import type { ModelRow } from "./ledger.ts";
import { type BlobStore, onePiece } from "./store/blobs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CONTENT_KEY_BYTES = 32;

export class ModelVault {
  readonly #blobs: BlobStore;
  readonly #random: Random;
  readonly #clock: Clock;
  #newest: { readonly name: Bytes; readonly blob: Bytes } | undefined;

  constructor(blobs: BlobStore, random: Random, clock: Clock) {
    this.#blobs = blobs;
    this.#random = random;
    this.#clock = clock;
  }

  /** Puts the sealed blob in place and returns the row to be written. */
  async store(signed: { statement: Bytes; signature: Bytes }, round: number, file: Uint8Array): Promise<ModelRow> {
    const digest = blobDigest(file);
    const contentKey = this.#random.bytes(CONTENT_KEY_BYTES);
    const blob = sealModel(contentKey, digest, file, this.#random);
    const blobName = blobDigest(blob);
    await this.#blobs.put(blobName, blob.length, onePiece(blob));
    this.#newest = blob.length <= LIMITS.modelHeldBytesMax ? { name: blobName, blob } : undefined;
    return {
      digest,
      round,
      blob_digest: blobName,
      blob_length: blob.length,
      content_key: contentKey,
      statement: signed.statement,
      signature: signed.signature,
      published_at: this.#clock.nowMs(),
    };
  }

  /** The model file in the clear. */
  async read(row: ModelRow): Promise<Bytes> {
    const sealed = this.held(row.blob_digest) ?? (await this.#blobs.read(row.blob_digest));
    return openModel(row.content_key, row.digest, sealed);
  }

  /** The sealed model of this digest; undefined where it is not in memory. */
  held(blobDigest: Uint8Array): Bytes | undefined {
    return this.#newest !== undefined && equal(this.#newest.name, blobDigest) ? this.#newest.blob : undefined;
  }
}
