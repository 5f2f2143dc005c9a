// The server's audit log: entries are appended in the transaction that they are about; checkpoints sign the tree's
// root.

import type { Kysely, Transaction } from "kysely";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { GrowingTree, leafHash } from "../crypto/merkle.ts";
import { signature } from "../crypto/signature.ts";
import { type AuditType, auditEntry, checkpointMessage, signedCheckpoint } from "../wire/audit.ts";
import { CONTEXTS } from "../wire/labels.ts";
import type { Tables } from "./store/schema.ts";

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
  readonly #secretKey: Bytes;
  readonly #tree = new GrowingTree();

  constructor(clock: Clock, runId: Bytes, serverSecretKey: Bytes) {
    this.#clock = clock;
    this.#runId = runId;
    this.#secretKey = serverSecretKey;
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

  /** Signs the root over all committed entries and stores it. */
  async checkpoint(db: Kysely<Tables>): Promise<void> {
    const rows = await db
      .selectFrom("audit")
      .select(["position", "leaf_hash"])
      .where("position", ">=", this.#tree.size)
      .orderBy("position")
      .execute();
    // While this one waited for the rows, another checkpoint may have taken some of them.
    for (const row of rows) if (row.position === this.#tree.size) this.#tree.append(row.leaf_hash);
    const fields = {
      v: 1,
      run_id: this.#runId,
      size: this.#tree.size,
      root: this.#tree.root(),
      at: this.#clock.nowMs(),
    };
    const checkpoint = checkpointMessage.encode(fields);
    const signed = signedCheckpoint.encode({
      checkpoint,
      signature: signature("ML-DSA-44").sign(this.#secretKey, checkpoint, CONTEXTS.checkpoint),
    });
    await db
      .insertInto("checkpoints")
      .values({ size: fields.size, signed })
      .onConflict((conflict) => conflict.column("size").doUpdateSet({ signed }))
      .execute();
  }
}
