// Models at rest: sealed under a content key of their own, blob before row.

import { wipe } from "../core/bytes.ts";
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

  constructor(blobs: BlobStore, random: Random, clock: Clock) {
    this.#blobs = blobs;
    this.#random = random;
    this.#clock = clock;
  }

  /** Puts the sealed blob in place and returns the row to be written; its content key is the caller's to wipe. */
  async store(signed: { statement: Bytes; signature: Bytes }, round: number, file: Uint8Array): Promise<ModelRow> {
    const digest = blobDigest(file);
    const contentKey = this.#random.bytes(CONTENT_KEY_BYTES);
    const blob = sealModel(contentKey, digest, file, this.#random);
    const blobName = blobDigest(blob);
    await this.#blobs.put(blobName, blob.length, onePiece(blob));
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

  /** The model file in the clear. The row's content key is wiped. */
  async read(row: ModelRow): Promise<Bytes> {
    try {
      return openModel(row.content_key, row.digest, await this.#blobs.read(row.blob_digest));
    } finally {
      wipe(row.content_key);
    }
  }
}
