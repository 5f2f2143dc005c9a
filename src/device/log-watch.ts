// The device as a witness of its own: it keeps the newest checkpoint that it has seen of the run's audit log and
// refuses a server whose log is no continuation of it. So a server cannot rewrite what this device has seen, nor show
// it one history and others another without keeping the two apart for ever.

import timers from "node:timers/promises";
import { utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { verifyConsistency } from "../crypto/log-tree.ts";
import { type Checkpoint, type LogTrust, openCheckpoint } from "../wire/checkpoint.ts";
import type { LogView } from "../wire/log-view.ts";
import { NO_WITNESSES } from "../wire/witness-policy.ts";
import { keep, keepInBackground, readKept } from "./kept-file.ts";

export interface LogWatchPorts {
  /** Where the newest checkpoint is kept: beside the key file. */
  readonly path: string;
  /** Who may sign the log now. */
  trust(): LogTrust;
  /** Who may have signed the checkpoint that is kept. */
  keptTrust(): LogTrust;
}

/** What an answer showed of the log. */
export interface ShownLog {
  /** Its signatures hold. */
  readonly checkpoint: Checkpoint;
  readonly note: string;
  /** Between it and the tree of the size that the request named. */
  readonly consistency: readonly Uint8Array[];
  /** Whether witnesses were wanted, and have cosigned it. */
  readonly isCosigned: boolean;
}

/** Where rounds are shorter than this, not each of them waits for the file system. */
const KEEP_MS = 1000;

export class LogWatch {
  readonly #ports: LogWatchPorts;
  #held: Checkpoint | undefined;
  /** Of what is held, but not on disk yet; where nothing writes, because writing has failed. */
  #unkept: ShownLog | undefined;
  #keeping: Promise<void> | undefined;
  /** Aborted where what is held is to be on disk at once. */
  readonly #haste = new AbortController();

  /** Throws log.* where the kept checkpoint is none of this run. */
  constructor(ports: LogWatchPorts) {
    this.#ports = ports;
    const kept = readKept(ports.path);
    if (kept !== undefined) this.#held = openKept(ports, kept);
  }

  /** Size of the newest checkpoint that was seen; 0 before the first. */
  get size(): number {
    return this.#held?.size ?? 0;
  }

  /** Throws log.malformed, log.signature or log.witness. */
  opened({ checkpoint: note, consistency }: LogView): ShownLog {
    const trust = this.#ports.trust();
    const isCosigned = trust.policy.quorum !== undefined;
    return { checkpoint: openCheckpoint(trust, note), note, consistency, isCosigned };
  }

  /**
   * A request that names what was seen, and what its answer shows of the log, where it shows any; made again where
   * something newer was seen meanwhile, since the answer does not bind itself to that. Throws log.fork for another
   * history, log.witness where witnesses have cosigned less than was seen, and store.* before anything is sent where
   * what was seen before still cannot be written.
   */
  async ask<T extends { shown: ShownLog | undefined }>(request: (size: number) => Promise<T>): Promise<T> {
    for (;;) {
      this.#keepLeftOver();
      const seen = this.#held;
      const answer = await request(seen?.size ?? 0);
      const { shown } = answer;
      if (shown === undefined) return answer;
      if (seen !== undefined) requireContinuation(seen, shown);
      if (this.#held !== seen) continue;
      if (seen === undefined || shown.checkpoint.size > seen.size) this.#hold(shown);
      return answer;
    }
  }

  /**
   * On disk at once or, where another was written within a second, at the end of that: a crash may leave an earlier
   * checkpoint there, which is checked against as well. Throws nothing: the answer that showed it counts, and the next
   * request comes after another try.
   */
  #hold(shown: ShownLog): void {
    this.#held = shown.checkpoint;
    this.#unkept = shown;
    this.#keeping ??= this.#keep();
  }

  async #keep(): Promise<void> {
    const { path } = this.#ports;
    while (this.#unkept !== undefined) {
      const shown = this.#unkept;
      this.#unkept = undefined;
      try {
        await keepInBackground(path, shown.note, () => this.#isOvertaken(shown));
      } catch {
        // Left over: the next try says what is wrong, where a request can still be held back.
        this.#unkept ??= shown;
        break;
      }
      await this.#pause();
    }
    this.#keeping = undefined;
  }

  /** What could not be written when it came. */
  #keepLeftOver(): void {
    if (this.#keeping !== undefined || this.#unkept === undefined) return;
    if (!this.#isOvertaken(this.#unkept)) keep(this.#ports.path, utf8(this.#unkept.note));
    this.#unkept = undefined;
  }

  /** Whether another process with this key file has kept a later checkpoint. What is damaged stands in nobody's way. */
  #isOvertaken({ checkpoint }: ShownLog): boolean {
    const kept = readKept(this.#ports.path);
    if (kept === undefined) return false;
    try {
      return openKept(this.#ports, kept).size > checkpoint.size;
    } catch (error) {
      if (!(error instanceof QflareError)) throw error;
      return false;
    }
  }

  /** Keeps no process alive: what is left by then is what a crash would leave. */
  async #pause(): Promise<void> {
    const { signal } = this.#haste;
    await timers.setTimeout(KEEP_MS, undefined, { signal, ref: false }).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  /** Resolves when the newest checkpoint is on disk. Throws store.* where it cannot be written. */
  async close(): Promise<void> {
    this.#haste.abort();
    await this.#keeping;
    this.#keepLeftOver();
  }
}

/** No witness may have cosigned it yet. */
function openKept(ports: LogWatchPorts, kept: Buffer): Checkpoint {
  try {
    return openCheckpoint({ ...ports.keptTrust(), policy: NO_WITNESSES }, kept.toString("utf8"));
  } catch (cause) {
    if (!(cause instanceof QflareError)) throw cause;
    throw new QflareError(cause.code, `${ports.path} holds no checkpoint of this run's log`, { cause });
  }
}

/**
 * A receipt's checkpoint is of that moment: no witness has cosigned it yet. So the next one that they have cosigned
 * must reach it, else a server could hang all receipts of a device on a history of its own, behind an early checkpoint.
 */
function requireContinuation(seen: Checkpoint, { checkpoint, consistency, isCosigned }: ShownLog): void {
  const [older, newer] = seen.size <= checkpoint.size ? [seen, checkpoint] : [checkpoint, seen];
  if (!verifyConsistency(older, newer, consistency)) {
    throw new QflareError("log.fork", `trees of ${older.size} and ${newer.size} entries are not of one history`);
  }
  if (isCosigned && checkpoint.size < seen.size) {
    throw new QflareError("log.witness", `expected a checkpoint over ${seen.size} entries, got ${checkpoint.size}`);
  }
}
