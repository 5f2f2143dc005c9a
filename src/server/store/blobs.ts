// Blobs as files named by their digest: the same content has the same place, so storing twice changes nothing.

import type { ReadStream } from "node:fs";
import { type FileHandle, open, readdir, readFile, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { equal, toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Random } from "../../core/ports.ts";
import { makeFolder } from "../../crypto/folder.ts";
import { type LeafPool, PooledBlobHasher } from "../../crypto/leaf-pool.ts";
import { BlobHasher } from "../../crypto/merkle.ts";
import { syncFolderInBackground } from "../../crypto/secret-file.ts";
import { storeError } from "./database.ts";

export class BlobStore {
  readonly #root: string;
  readonly #random: Random;
  readonly #leaves: LeafPool | undefined;
  /** Those that were made, or found. */
  readonly #folders = new Set<string>();

  /** leaves: threads that hash what is large, the caller's to close; without them this thread does it all. */
  constructor(root: string, random: Random, leaves?: LeafPool) {
    this.#root = root;
    this.#random = random;
    this.#leaves = leaves;
  }

  /** Makes the folder and removes what an interrupted write left behind. */
  async prepare(): Promise<void> {
    await rm(this.#incoming(), { recursive: true, force: true });
    await makeDurable(this.#incoming());
  }

  /**
   * Stores a stream. Throws message.length_mismatch where it is not length bytes, update.digest where its digest is
   * another, store.full where there is no space; nothing stays behind then. On return the blob is on disk.
   */
  async put(digest: Uint8Array, length: number, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    await this.place(await this.receive(digest, length, pieces), digest);
  }

  /** The first half of put: a path for place. */
  async receive(digest: Uint8Array, length: number, pieces: AsyncIterable<Uint8Array>): Promise<string> {
    const temporary = join(this.#incoming(), toHex(this.#random.bytes(16)));
    try {
      await this.#write(temporary, digest, length, pieces);
      return temporary;
    } catch (error) {
      await rm(temporary, { force: true });
      throw storeError(error);
    }
  }

  async place(temporary: string, digest: Uint8Array): Promise<void> {
    try {
      const place = this.#place(digest);
      await this.#makeFolder(dirname(place));
      await rename(temporary, place);
      await syncFolderInBackground(dirname(place));
    } catch (error) {
      await rm(temporary, { force: true });
      throw storeError(error);
    }
  }

  async #write(
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
    const isLarge = length >= LIMITS.threadedBlobBytes;
    return isLarge && this.#leaves !== undefined ? new PooledBlobHasher(this.#leaves) : new BlobHasher();
  }

  /** Throws store.corrupt where the blob is missing or another, store.unavailable where it cannot be read now. */
  async read(digest: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.#open(digest);
    if (file === undefined) throw new QflareError("store.corrupt", `blob ${toHex(digest)} is missing`);
    try {
      const blob = new Uint8Array(await readFile(file));
      const hasher = this.#hasher(blob.length);
      await hasher.update(blob);
      if (equal(await hasher.digest(), digest)) return blob;
    } catch (error) {
      throw storeError(error);
    } finally {
      await file.close();
    }
    throw new QflareError("store.corrupt", `blob ${toHex(digest)} has other bytes than its name says`);
  }

  /** undefined where there is no such blob. Whoever gets the stream ends it. */
  async stream(digest: Uint8Array): Promise<{ length: number; body: ReadStream } | undefined> {
    const file = await this.#open(digest);
    if (file === undefined) return undefined;
    const { size } = await file.stat();
    return { length: size, body: file.createReadStream() };
  }

  async #open(digest: Uint8Array): Promise<FileHandle | undefined> {
    try {
      return await open(this.#place(digest), "r").catch(unlessMissing);
    } catch (error) {
      throw storeError(error);
    }
  }

  async remove(digest: Uint8Array): Promise<void> {
    await unlink(this.#place(digest)).catch(unlessMissing);
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

  async #makeFolder(path: string): Promise<void> {
    if (this.#folders.has(path)) return;
    await makeDurable(path);
    this.#folders.add(path);
  }

  #incoming(): string {
    return join(this.#root, "incoming");
  }
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

/** A new folder is durable once the one above it is. */
async function makeDurable(path: string): Promise<void> {
  for (const folder of makeFolder(path).reverse()) await syncFolderInBackground(dirname(folder));
}

export async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
