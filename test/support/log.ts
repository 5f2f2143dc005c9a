// A small audit log without a database: entries in memory, signed as the server's own log is.

import { concat } from "../../src/core/bytes.ts";
import { proveConsistency, subtreesOf } from "../../src/crypto/log-tree.ts";
import { inclusionPath, leafHash, treeRoot } from "../../src/crypto/merkle.ts";
import { auditEntry } from "../../src/wire/audit.ts";
import { type CheckpointSigner, checkpointNote } from "../../src/wire/checkpoint.ts";
import type { LogView } from "../../src/wire/log-view.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface LoggedEntry {
  readonly log_entry: Bytes;
  readonly log_index: number;
  readonly log_path: Bytes[];
}

/** At most 256 entries: one tile. */
export class TestLog {
  readonly #origin: string;
  readonly #signer: CheckpointSigner;
  readonly #entries: Bytes[] = [];

  constructor(origin: string, signer: CheckpointSigner) {
    this.#origin = origin;
    this.#signer = signer;
  }

  /** Position of the new entry. */
  append(fields: Partial<Parameters<typeof auditEntry.encode>[0]>): number {
    const nothing = new Uint8Array(0);
    const empty = {
      v: 1,
      at: 0,
      type: "run.opened",
      subject: "run",
      digest: new Uint8Array(32),
      data: nothing,
    } as const;
    return this.#entries.push(auditEntry.encode({ ...empty, ...fields })) - 1;
  }

  /** A log that has begun as this one has. */
  fork(): TestLog {
    const other = new TestLog(this.#origin, this.#signer);
    other.#entries.push(...this.#entries);
    return other;
  }

  prove(index: number): LoggedEntry {
    return { log_entry: this.#entries[index]!, log_index: index, log_path: inclusionPath(this.#leaves, index) };
  }

  /** As a server shows it to a device that has seen so many entries. */
  async view(seenSize: number): Promise<LogView> {
    const leaves = this.#leaves;
    const size = leaves.length;
    const checkpoint = { origin: this.#origin, size, root: treeRoot(leaves) };
    const note = checkpointNote(checkpoint, this.#signer.sign(checkpoint, 0));
    const consistency =
      seenSize > size
        ? []
        : await proveConsistency(
            subtreesOf(async () => concat(...leaves)),
            seenSize,
            size,
          );
    return { checkpoint: note, consistency };
  }

  get #leaves(): Bytes[] {
    return this.#entries.map(leafHash);
  }
}
