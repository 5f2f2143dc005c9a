// The device as a witness of its own: it keeps the newest checkpoint that it has seen of the run's audit log and
// refuses a server whose log is no continuation of it. So a server cannot rewrite what this device has seen, nor show
// it one history and others another without keeping the two apart for ever.

import { fromUtf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import {
  HASH_BYTES,
  proveConsistency,
  subtreesOf,
  TILE_WIDTH,
  tileWidth,
  verifyConsistency,
} from "../crypto/log-tree.ts";
import { type Checkpoint, type LogTrust, openCheckpoint } from "../wire/checkpoint.ts";
import { parseLogProof, verifyLogProof } from "../wire/log-proof.ts";
import { LOG_PREFIX, tilePath } from "../wire/tile.ts";
import { NO_WITNESSES } from "../wire/witness-policy.ts";
import { keep, readKept } from "./kept-file.ts";

export interface LogWatchPorts {
  /** Where the newest checkpoint is kept: beside the key file. */
  readonly path: string;
  /** Who may sign the log now. */
  trust(): LogTrust;
  /** Who may have signed the checkpoint that is kept. */
  readonly keptTrust: LogTrust;
  /** GET of a public file. */
  get(path: string, bytesMax: number): Promise<Uint8Array>;
}

export class LogWatch {
  readonly #ports: LogWatchPorts;
  #held: Checkpoint | undefined;
  /** One after the other: two at once could each take a history that the other contradicts. */
  #last: Promise<unknown> = Promise.resolve();

  /** Throws log.* where the kept checkpoint is none of this run. */
  constructor(ports: LogWatchPorts) {
    this.#ports = ports;
    const kept = readKept(ports.path);
    if (kept !== undefined) this.#held = openCheckpoint({ ...ports.keptTrust, policy: NO_WITNESSES }, fromUtf8(kept));
  }

  /** Size of the newest checkpoint that was seen; 0 before the first. */
  get size(): number {
    return this.#held?.size ?? 0;
  }

  /** Looks at the server's checkpoint. Throws log.signature, log.witness, or log.fork. */
  async check(): Promise<void> {
    const note = fromUtf8(await this.#ports.get(`${LOG_PREFIX}/checkpoint`, LIMITS.noteBytesMax));
    await this.take(openCheckpoint(this.#ports.trust(), note), note);
  }

  /** That the log has this entry at this index. Throws what verifyLogProof throws, and what take does. */
  async takeProof(entry: Uint8Array, index: number, proof: string): Promise<void> {
    const checkpoint = verifyLogProof(this.#ports.trust(), entry, index, proof);
    await this.take(checkpoint, parseLogProof(proof).checkpoint);
  }

  /** A checkpoint whose signature was verified. Throws log.fork where it contradicts what was seen. */
  async take(checkpoint: Checkpoint, note: string): Promise<void> {
    const taken = this.#last.then(() => this.#take(checkpoint, note));
    this.#last = taken.catch(() => undefined);
    await taken;
  }

  async #take(checkpoint: Checkpoint, note: string): Promise<void> {
    const held = this.#held;
    if (held !== undefined) await this.#requireOneHistory(held, checkpoint);
    if (held !== undefined && held.size >= checkpoint.size) return;
    this.#held = checkpoint;
    keep(this.#ports.path, note);
  }

  async #requireOneHistory(held: Checkpoint, other: Checkpoint): Promise<void> {
    const [older, newer] = held.size <= other.size ? [held, other] : [other, held];
    const proof = older.size === newer.size ? [] : await this.#prove(older.size, newer.size);
    if (verifyConsistency(older, newer, proof)) return;
    throw new QflareError("log.fork", `trees of ${older.size} and ${newer.size} entries are not of one history`);
  }

  /** From the server's tiles: a false one makes a proof that does not verify. */
  async #prove(oldSize: number, size: number): Promise<Uint8Array[]> {
    const readTile = async (row: number, number: number): Promise<Uint8Array> => {
      const width = tileWidth(row, number, size);
      const path = `${LOG_PREFIX}/${tilePath({ row, number, width })}`;
      const tile = await this.#ports.get(path, TILE_WIDTH * HASH_BYTES);
      if (tile.length !== width * HASH_BYTES) throw new QflareError("log.fork", `${path} is no such tile`);
      return tile;
    };
    try {
      return await proveConsistency(subtreesOf(readTile), oldSize, size);
    } catch (error) {
      if (!(error instanceof QflareError) || error.code !== "request.not_found") throw error;
      throw new QflareError("log.fork", `it proves no way from ${oldSize} to ${size} entries`, { cause: error });
    }
  }
}
