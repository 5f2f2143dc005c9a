// The server's audit log: entries are appended in the transaction that they are about; checkpoints sign the tree's
// root.

import type { Transaction } from "kysely";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { GrowingTree, leafHash } from "../crypto/merkle.ts";
import { signature } from "../crypto/signature.ts";
import { type AuditType, auditEntry, checkpointMessage, signedCheckpoint } from "../wire/audit.ts";
import { CONTEXTS } from "../wire/labels.ts";
import type { Tables } from "./store/schema.ts";
import type { Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface AuditFact {
  readonly type: AuditType;
  readonly subject: string;
  readonly digest: Bytes;
  readonly data?: Bytes;
}

export class AuditLog {
  readonly #clock: Clock;
  readonly #runId: Bytes;
  readonly #keys: { readonly signatureSecretKey: Bytes };
  /** Over the entries of the newest checkpoint. */
  #tree = new GrowingTree();

  constructor(clock: Clock, runId: Bytes, keys: { readonly signatureSecretKey: Bytes }) {
    this.#clock = clock;
    this.#runId = runId;
    this.#keys = keys;
  }

  /** Returns the entry's position. */
  async append(tx: Transaction<Tables>, fact: AuditFact): Promise<number> {
    const entry = auditEntry.encode({
      v: 1,
      at: this.#clock.nowMs(),
      type: fact.type,
      subject: fact.subject,
      digest: fact.digest,
      data: fact.data ?? new Uint8Array(0),
    });
    const { last } = await tx
      .selectFrom("audit")
      .select((select) => select.fn.max("position").as("last"))
      .executeTakeFirstOrThrow();
    const position = last === null ? 0 : (last as number) + 1;
    await tx
      .insertInto("audit")
      .values({ position, entry, leaf_hash: leafHash(entry) })
      .execute();
    return position;
  }

  async appendEnclaveRecord(tx: Transaction<Tables>, record: Bytes): Promise<void> {
    await this.append(tx, { type: "enclave.operation", subject: "enclave", digest: sha256(record), data: record });
  }

  /** Signs the root over all entries that are written by then, and stores it. */
  async checkpoint(writer: Writer): Promise<void> {
    this.#tree = await writer.write(async (tx) => {
      const tree = await this.#grown(tx);
      const signed = this.#sign(tree);
      await tx
        .insertInto("checkpoints")
        .values({ size: tree.size, signed })
        .onConflict((conflict) => conflict.column("size").doUpdateSet({ signed }))
        .execute();
      return tree;
    });
  }

  /** A copy: the transaction may be rolled back. */
  async #grown(tx: Transaction<Tables>): Promise<GrowingTree> {
    const tree = this.#tree.clone();
    const rows = await tx
      .selectFrom("audit")
      .select("leaf_hash")
      .where("position", ">=", tree.size)
      .orderBy("position")
      .execute();
    for (const row of rows) tree.append(row.leaf_hash);
    return tree;
  }

  #sign(tree: GrowingTree): Bytes {
    const fields = { v: 1, run_id: this.#runId, size: tree.size, root: tree.root(), at: this.#clock.nowMs() };
    const checkpoint = checkpointMessage.encode(fields);
    const signed = signature("ML-DSA-44").sign(this.#keys.signatureSecretKey, checkpoint, CONTEXTS.checkpoint);
    return signedCheckpoint.encode({ checkpoint, signature: signed });
  }
}
