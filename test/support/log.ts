// A small audit log without a database: entries in memory, signed as the server's own log is.

import { concat, utf8 } from "../../src/core/bytes.ts";
import { inclusionPath, leafHash, treeRoot } from "../../src/crypto/merkle.ts";
import { auditEntry } from "../../src/wire/audit.ts";
import { type CheckpointSigner, checkpointNote } from "../../src/wire/checkpoint.ts";
import { formatLogProof } from "../../src/wire/log-proof.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface LoggedEntry {
  readonly log_entry: Bytes;
  readonly log_index: number;
  readonly log_proof: Bytes;
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
    const path = inclusionPath(this.#leaves, index);
    const log_proof = utf8(formatLogProof({ index, path, checkpoint: this.served.note }));
    return { log_entry: this.#entries[index]!, log_index: index, log_proof };
  }

  /** As the gateway's routes ask the server's log. */
  get served(): { readonly note: string } {
    const checkpoint = { origin: this.#origin, size: this.#entries.length, root: treeRoot(this.#leaves) };
    return { note: checkpointNote(checkpoint, this.#signer.sign(checkpoint, 0)) };
  }

  async tile(row: number, number: number, width: number): Promise<Bytes | undefined> {
    const leaves = this.#leaves;
    return row === 0 && number === 0 && width <= leaves.length ? concat(...leaves.slice(0, width)) : undefined;
  }

  get #leaves(): Bytes[] {
    return this.#entries.map(leafHash);
  }
}
