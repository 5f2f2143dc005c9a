// Models at rest: sealed under a content key of their own, blob before row. The newest one is held in memory too where
// it is not large, since every device of a round comes for it: from its commit, or from a start of the server on.

import { equal, wipe } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { openModel, sealModel } from "../wire/model.ts";
import type { ModelRow } from "./ledger.ts";
import { type BlobStore, onePiece } from "./store/blobs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CONTENT_KEY_BYTES = 32;

/** Seals a model, puts the blob in place, returns the row to be written. Its content key is the vault's to wipe. */
export type StoreModel = (
  signed: { statement: Bytes; signature: Bytes },
  round: number,
  file: Uint8Array,
) => Promise<ModelRow>;

interface Stored {
  readonly row: ModelRow;
  readonly sealed: Bytes;
}

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

  /**
   * For work that may store a model and settles once its row is committed or refused. A model of work that is done is
   * held in memory from then on; content keys are wiped however it ends.
   */
  async storing<T>(work: (store: StoreModel) => Promise<T>): Promise<T> {
    const all: Stored[] = [];
    try {
      const done = await work(async (signed, round, file) => {
        const stored = this.#seal(signed, round, file);
        all.push(stored);
        await this.#blobs.put(stored.row.blob_digest, stored.sealed.length, onePiece(stored.sealed));
        return stored.row;
      });
      for (const stored of all) this.#hold(stored);
      return done;
    } finally {
      for (const { row } of all) wipe(row.content_key);
    }
  }

  #seal(signed: { statement: Bytes; signature: Bytes }, round: number, file: Uint8Array): Stored {
    const digest = blobDigest(file);
    const contentKey = this.#random.bytes(CONTENT_KEY_BYTES);
    const sealed = sealModel(contentKey, digest, file, this.#random);
    const row = {
      digest,
      round,
      blob_digest: blobDigest(sealed),
      blob_length: sealed.length,
      content_key: contentKey,
      statement: signed.statement,
      signature: signed.signature,
      published_at: this.#clock.nowMs(),
    };
    return { row, sealed };
  }

  #hold({ row, sealed }: Stored): void {
    this.#newest = sealed.length <= LIMITS.modelHeldBytesMax ? { name: row.blob_digest, blob: sealed } : undefined;
  }

  /** Reads the newest model, to be held in memory. Throws what read throws; the row's content key is wiped. */
  async load(row: ModelRow): Promise<void> {
    try {
      const sealed = await this.#blobs.read(row.blob_digest);
      openModel(row.content_key, row.digest, sealed);
      this.#hold({ row, sealed });
    } finally {
      wipe(row.content_key);
    }
  }

  /** The model file in the clear. */
  async read(row: ModelRow): Promise<Bytes> {
    const sealed = this.held(row.blob_digest) ?? (await this.#blobs.read(row.blob_digest));
    return openModel(row.content_key, row.digest, sealed);
  }

  /** As read, for whoever needs the row's content key for nothing else: it is wiped. */
  async readOnce(row: ModelRow): Promise<Bytes> {
    try {
      return await this.read(row);
    } finally {
      wipe(row.content_key);
    }
  }

  /** The sealed model of this digest; undefined where it is not in memory. */
  held(blobDigest: Uint8Array): Bytes | undefined {
    return this.#newest !== undefined && equal(this.#newest.name, blobDigest) ? this.#newest.blob : undefined;
  }
}
