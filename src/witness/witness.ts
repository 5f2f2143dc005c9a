// A witness of audit logs (C2SP tlog-witness): cosigns a checkpoint where the log is a continuation of the last one
// that it has cosigned, and no other. It keeps one checkpoint a log.

import { toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { verifyConsistency } from "../crypto/log-tree.ts";
import {
  type Checkpoint,
  type CheckpointSigner,
  checkpointNote,
  parseCheckpoint,
  verifyLine,
} from "../wire/checkpoint.ts";
import { formatSignature, isBy, type Note, type NoteKey, type NoteSignature, parseNote } from "../wire/note.ts";
import { parseAddCheckpoint } from "../wire/witness.ts";
import type { WitnessStore } from "./store.ts";

export interface WitnessPorts {
  readonly signer: CheckpointSigner;
  /**
   * Keys of the logs that it cosigns; a log's origin is its keys' name. Those of one log in the order in which they
   * come into force: after a later one has signed, an earlier one counts no more.
   */
  readonly logs: readonly NoteKey[];
  readonly store: WitnessStore;
  readonly clock: Clock;
}

/** It has cosigned another size last. */
export class SizeConflict extends QflareError {
  readonly size: number;

  constructor(size: number) {
    super("witness.conflict", `expected it to follow ${size} entries`);
    this.size = size;
  }
}

export class Witness {
  readonly #ports: WitnessPorts;

  constructor(ports: WitnessPorts) {
    this.#ports = ports;
  }

  /**
   * The witness's lines over the checkpoint of the body. Throws log.malformed, witness.unknown_log, witness.signature,
   * SizeConflict, witness.inconsistent; then nothing has changed.
   */
  addCheckpoint(body: string): string {
    const { oldSize, proof, note } = parseAddCheckpoint(body);
    const parsed = parseNote(note);
    const checkpoint = parseCheckpoint(parsed.text);
    const logLines = this.#requireSigned(parsed, checkpoint);
    if (oldSize > checkpoint.size) throw new QflareError("log.malformed", "the old size is larger than the new one");
    return this.#ports.store.exchange(checkpoint.origin, (last) => {
      if (oldSize !== (last?.size ?? 0)) throw new SizeConflict(last?.size ?? 0);
      const isReplaced =
        last !== undefined && this.#newestKey(logLines) < this.#newestKey(parseNote(last.note).signatures);
      if (isReplaced) throw new QflareError("witness.signature", "its key was replaced");
      const older = last ?? { size: 0, root: sha256() };
      if (!verifyConsistency(older, checkpoint, proof)) throw new QflareError("witness.inconsistent");
      const own = this.#ports.signer.sign(checkpoint, this.#ports.clock.nowMs());
      const stored = { ...checkpoint, note: checkpointNote(checkpoint, [...logLines, ...own]) };
      return { next: stored, value: own.map(formatSignature).join("") };
    });
  }

  /** The last cosigned checkpoint of the log whose origin has this SHA-256, in hexadecimal. */
  checkpointOf(originHash: string): string | undefined {
    const origins = new Set(this.#ports.logs.map(({ name }) => name));
    const origin = [...origins].find((name) => toHex(sha256(utf8(name))) === originHash);
    return origin === undefined ? undefined : this.#ports.store.read(origin)?.note;
  }

  #newestKey(lines: readonly NoteSignature[]): number {
    return this.#ports.logs.findLastIndex((key) => lines.some((line) => isBy(line, key)));
  }

  /** The lines by the log's known keys. */
  #requireSigned({ signatures }: Note, checkpoint: Checkpoint): NoteSignature[] {
    const keys = this.#ports.logs.filter(({ name }) => name === checkpoint.origin);
    if (keys.length === 0) throw new QflareError("witness.unknown_log");
    const lines = signatures.filter((line) => keys.some((key) => isBy(line, key)));
    const isEach = lines.every((line) => keys.some((key) => verifyLine(checkpoint, key, line)));
    if (lines.length === 0 || !isEach) throw new QflareError("witness.signature");
    return lines;
  }
}
