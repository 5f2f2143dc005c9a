// Updates on their way in: each blob is received beside the others, then placed and accepted. One whose row is refused
// does not stay, however often its device tries. What removes a blob and what places it take turns.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import type { Ledger, SignedManifest, UpdateRow } from "./ledger.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface UploadPorts {
  readonly blobs: BlobStore;
  readonly ledger: Pick<Ledger, "accept" | "isBlobInUse">;
  readonly writer: Pick<Writer, "expect">;
  readonly log: Log;
}

export class Uploads {
  readonly #ports: UploadPorts;
  readonly #counts = new Map<string, number>();
  /** The newest of each digest. Devices that lie together may send the same bytes. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(ports: UploadPorts) {
    this.#ports = ports;
  }

  /** Blob, then row. Throws what BlobStore.receive and Ledger.accept throw; nothing stays behind then. */
  async accept(signed: SignedManifest, pieces: AsyncIterable<Uint8Array>): Promise<UpdateRow> {
    const device = toHex(signed.manifest.device_id);
    const count = this.#counts.get(device) ?? 0;
    if (count >= LIMITS.uploadsPerDeviceMax) {
      throw new QflareError("request.rate_limited", `${count} updates of this device are on their way`);
    }
    this.#counts.set(device, count + 1);
    try {
      return await this.#receive(signed, pieces);
    } finally {
      this.#leave(device);
    }
  }

  /**
   * Removes a blob that nothing names any more. Its digest is no secret: the next round may have taken the same bytes
   * under another manifest since the caller has looked.
   */
  async removeUnused(digest: Bytes): Promise<void> {
    await this.#inTurn(toHex(digest), () => this.#remove(digest));
  }

  async #receive(signed: SignedManifest, pieces: AsyncIterable<Uint8Array>): Promise<UpdateRow> {
    const { blob_digest, blob_length } = signed.manifest;
    const temporary = await this.#ports.blobs.receive(blob_digest, blob_length, pieces);
    return await this.#inTurn(toHex(blob_digest), () => this.#place(temporary, signed));
  }

  #leave(device: string): void {
    const others = this.#counts.get(device)! - 1;
    if (others === 0) this.#counts.delete(device);
    else this.#counts.set(device, others);
  }

  async #place(temporary: string, signed: SignedManifest): Promise<UpdateRow> {
    try {
      const { accepted } = await this.#handOver(temporary, signed);
      return await accepted;
    } catch (error) {
      await this.#discard(signed.manifest.blob_digest);
      throw error;
    }
  }

  /** Updates that are placed at about the same time share a transaction. */
  async #handOver(temporary: string, signed: SignedManifest): Promise<{ accepted: Promise<UpdateRow> }> {
    const { blobs, ledger, writer } = this.#ports;
    const arrived = writer.expect();
    try {
      await blobs.place(temporary, signed.manifest.blob_digest);
      return { accepted: ledger.accept(signed) };
    } finally {
      arrived();
    }
  }

  /** Where this fails, the sweep at the next start takes what is left. */
  async #discard(digest: Bytes): Promise<void> {
    try {
      await this.#remove(digest);
    } catch (error) {
      this.#ports.log.warn({ error: String(error) }, "the blob of a refused update cannot be removed yet");
    }
  }

  async #remove(digest: Bytes): Promise<void> {
    const { blobs, ledger } = this.#ports;
    if (!(await ledger.isBlobInUse(digest))) await blobs.remove(digest);
  }

  /** Nobody removes a blob between another's placing it and the row that names it. */
  async #inTurn<T>(digest: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(digest);
    const own = before === undefined ? work() : before.then(work, work);
    this.#turns.set(digest, own);
    try {
      return await own;
    } finally {
      if (this.#turns.get(digest) === own) this.#turns.delete(digest);
    }
  }
}
