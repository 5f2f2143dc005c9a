// Updates on their way in: each blob is received beside the others, then placed and accepted. One whose row is refused
// does not stay, however often its device tries.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import type { Ledger, SignedManifest, UpdateRow } from "./ledger.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Writer } from "./store/writer.ts";

export interface UploadPorts {
  readonly blobs: BlobStore;
  readonly ledger: Pick<Ledger, "accept" | "isBlobInUse">;
  readonly writer: Pick<Writer, "expect">;
  readonly log: Log;
}

/** From the last piece of a blob until its row is handed over, the row is expected. */
class Arrival {
  readonly #writer: UploadPorts["writer"];
  readonly #given: AsyncIterable<Uint8Array>;
  #arrived: (() => void) | undefined;

  constructor(writer: UploadPorts["writer"], pieces: AsyncIterable<Uint8Array>) {
    this.#writer = writer;
    this.#given = pieces;
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    yield* this.#given;
    this.#arrived = this.#writer.expect();
  }

  end(): void {
    this.#arrived?.();
    this.#arrived = undefined;
  }
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

  /** Updates whose blobs have come whole at about the same time share a transaction. */
  async #receive(signed: SignedManifest, pieces: AsyncIterable<Uint8Array>): Promise<UpdateRow> {
    const { blobs, writer } = this.#ports;
    const { blob_digest, blob_length } = signed.manifest;
    const arrival = new Arrival(writer, pieces);
    try {
      const temporary = await blobs.receive(blob_digest, blob_length, arrival.pieces());
      return await this.#inTurn(toHex(blob_digest), () => this.#place(temporary, signed, arrival));
    } finally {
      arrival.end();
    }
  }

  #leave(device: string): void {
    const others = this.#counts.get(device)! - 1;
    if (others === 0) this.#counts.delete(device);
    else this.#counts.set(device, others);
  }

  async #place(temporary: string, signed: SignedManifest, arrival: Arrival): Promise<UpdateRow> {
    const { blobs, ledger } = this.#ports;
    try {
      await blobs.place(temporary, signed.manifest.blob_digest);
      const accepted = ledger.accept(signed);
      arrival.end();
      return await accepted;
    } catch (error) {
      await this.#discard(signed.manifest.blob_digest);
      throw error;
    }
  }

  /** Where this fails, the sweep at the next start takes what is left. */
  async #discard(digest: Uint8Array<ArrayBuffer>): Promise<void> {
    const { blobs, ledger, log } = this.#ports;
    try {
      if (!(await ledger.isBlobInUse(digest))) await blobs.remove(digest);
    } catch (error) {
      log.warn({ error: String(error) }, "the blob of a refused update cannot be removed yet");
    }
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
