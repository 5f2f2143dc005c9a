// Blobs as files named by their digest: the same content has the same place, so storing twice changes nothing.

import { createReadStream, type ReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { equal, toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Random } from "../../core/ports.ts";
import { type LeafPool, PooledBlobHasher } from "../../crypto/leaf-pool.ts";
import { BlobHasher } from "../../crypto/merkle.ts";
import { storeError } from "./database.ts";

export class BlobStore {
  readonly #root: string;
  readonly #random: Random;
  readonly #leaves: LeafPool | undefined;

  /** leaves: threads that hash what is large, the caller's to close; without them this thread does it all. */
  constructor(root: string, random: Random, leaves?: LeafPool) {
    this.#root = root;
    this.#random = random;
    this.#leaves = leaves;
  }

  /** Makes the folder and removes what an interrupted write left behind. */
  async prepare(): Promise<void> {
    await rm(this.#incoming(), { recursive: true, force: true });
    await mkdir(this.#incoming(), { recursive: true });
  }

  /**
   * Stores a stream. Throws message.length_mismatch where it is not length bytes, update.digest where its digest is
   * another, store.full where there is no space; nothing stays behind then. On return the blob is on disk.
   */
  async put(digest: Uint8Array, length: number, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const temporary = join(this.#incoming(), toHex(this.#random.bytes(16)));
    try {
      await this.#receive(temporary, digest, length, pieces);
      const place = this.#place(digest);
      await mkdir(dirname(place), { recursive: true });
      await rename(temporary, place);
      await syncFolder(dirname(place));
    } catch (error) {
      await rm(temporary, { force: true });
      throw storeError(error);
    }
  }

  async #receive(
    temporary: string,
    digest: Uint8Array,
    length: number,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const file = await open(temporary, "wx", 0o600);
    try {
      const hasher = this.#hasher(length);
      for await (const piece of pieces) {
        await hasher.update(piece);
        if (hasher.length > length) break;
        await file.writeFile(piece);
      }
      if (hasher.length !== length) {
        throw new QflareError("message.length_mismatch", `expected ${length} bytes, got ${hasher.length}`);
      }
      if (!equal(await hasher.digest(), digest)) throw new QflareError("update.digest");
      await file.sync();
    } finally {
      await file.close();
    }
  }

  #hasher(length: number): BlobHasher | PooledBlobHasher {
    const isLarge = length >= LIMITS.threadedBlobBytesMin;
    return isLarge && this.#leaves !== undefined ? new PooledBlobHasher(this.#leaves) : new BlobHasher();
  }

  /** Throws store.corrupt where the blob is missing. */
  async read(digest: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await readFile(this.#place(digest)));
    } catch (cause) {
      throw new QflareError("store.corrupt", `blob ${toHex(digest)} cannot be read`, { cause });
    }
  }

  /** undefined where there is no such blob. */
  async stream(digest: Uint8Array): Promise<{ length: number; body: ReadStream } | undefined> {
    try {
      const { size } = await stat(this.#place(digest));
      return { length: size, body: createReadStream(this.#place(digest)) };
    } catch {
      return undefined;
    }
  }

  /**
   * Removes every blob that keep does not name (in hexadecimal): of closed rounds, or without a row.
   */
  async sweep(keep: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#root, { recursive: true })) {
      const digest = basename(name);
      if (/^[0-9a-f]{64}$/.test(digest) && !keep.has(digest)) await rm(join(this.#root, name), { force: true });
    }
  }

  #place(digest: Uint8Array): string {
    const name = toHex(digest);
    return join(this.#root, name.slice(0, 2), name);
  }

  #incoming(): string {
    return join(this.#root, "incoming");
  }
}

/** A rename is durable once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
