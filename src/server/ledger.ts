// The ledger of rounds, updates and models: the truth about the run. A transition of a round is a compare-and-set on
// its version; an update counts once its row is committed.

import type { Kysely, Selectable, Transaction } from "kysely";
import { concat, equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { DEVICE_ID_BYTES } from "../wire/enroll.ts";
import type { Receipt } from "../wire/receipt.ts";
import type { Manifest } from "../wire/update.ts";
import type { AuditLog } from "./audit.ts";
import type { Tables } from "./store/schema.ts";
import type { Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type RoundRow = Selectable<Tables["rounds"]>;
export type UpdateRow = Selectable<Tables["updates"]>;
export type ModelRow = Selectable<Tables["models"]>;

/** What the gateway hands over for storing. */
export interface SignedManifest {
  readonly manifest: Manifest;
  readonly encoded: Bytes;
  readonly signature: Bytes;
}

export class Ledger {
  readonly #db: Kysely<Tables>;
  readonly #writer: Writer;
  readonly #audit: AuditLog;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, writer: Writer, audit: AuditLog, clock: Clock) {
    this.#db = db;
    this.#writer = writer;
    this.#audit = audit;
    this.#clock = clock;
  }

  async newestRound(): Promise<RoundRow | undefined> {
    return await this.#db.selectFrom("rounds").selectAll().orderBy("round", "desc").limit(1).executeTakeFirst();
  }

  async countPublished(): Promise<number> {
    const { count } = await this.#db
      .selectFrom("rounds")
      .select((select) => select.fn.countAll<number>().as("count"))
      .where("state", "=", "published")
      .executeTakeFirstOrThrow();
    return count;
  }

  async newestModel(): Promise<ModelRow | undefined> {
    return await this.#db.selectFrom("models").selectAll().orderBy("round", "desc").limit(1).executeTakeFirst();
  }

  async modelOfRound(round: number): Promise<ModelRow | undefined> {
    return await this.#db.selectFrom("models").selectAll().where("round", "=", round).executeTakeFirst();
  }

  async signatureOf(round: number): Promise<Pick<ModelRow, "statement" | "signature">> {
    const query = this.#db.selectFrom("models").select(["statement", "signature"]).where("round", "=", round);
    return await query.executeTakeFirstOrThrow();
  }

  async hasModelBlob(blobDigest: Bytes): Promise<boolean> {
    const query = this.#db.selectFrom("models").select("round").where("blob_digest", "=", blobDigest);
    return (await query.executeTakeFirst()) !== undefined;
  }

  /** Digests of all blobs that are still of use: the models, and the updates of rounds that are not closed. */
  async blobsInUse(): Promise<Bytes[]> {
    const models = await this.#db.selectFrom("models").select("blob_digest").execute();
    const updates = await this.#db
      .selectFrom("updates")
      .innerJoin("rounds", "rounds.round", "updates.round")
      .select("updates.blob_digest")
      .where("rounds.closed_at", "is", null)
      .execute();
    return [...models, ...updates].map((row) => row.blob_digest);
  }

  /** Digests of the blobs that a round's updates name; others may name them too. */
  async blobsOf(round: number): Promise<Bytes[]> {
    const updates = await this.#db.selectFrom("updates").select("blob_digest").where("round", "=", round).execute();
    return updates.map((row) => row.blob_digest);
  }

  /** For one digest what blobsInUse says of all. It holds for as long as no row is on its way: Uploads.removeUnused. */
  async isBlobInUse(blobDigest: Bytes): Promise<boolean> {
    if (await this.hasModelBlob(blobDigest)) return true;
    const query = this.#db.selectFrom("updates").innerJoin("rounds", "rounds.round", "updates.round");
    const row = await query
      .select("updates.round")
      .where("rounds.closed_at", "is", null)
      .where("updates.blob_digest", "=", blobDigest)
      .executeTakeFirst();
    return row !== undefined;
  }

  async updatesOf(round: number): Promise<UpdateRow[]> {
    return await this.#db.selectFrom("updates").selectAll().where("round", "=", round).execute();
  }

  async openRound(base: ModelRow, round: number): Promise<RoundRow> {
    return await this.#writer.write((tx) => this.#insertRound(tx, base, round));
  }

  async #insertRound(tx: Transaction<Tables>, base: ModelRow, round: number): Promise<RoundRow> {
    const row: RoundRow = {
      round,
      state: "selecting",
      version: 1,
      base_digest: base.digest,
      model_digest: null,
      opened_at: this.#clock.nowMs(),
      deadline_at: null,
      closed_at: null,
      cohort: new Uint8Array(0),
      failure: null,
      report: null,
    };
    await tx.insertInto("rounds").values(row).execute();
    await this.#audit.append(tx, { type: "round.opened", subject: `round ${round}`, digest: base.digest });
    return row;
  }

  async startCollecting(row: RoundRow, cohort: readonly Bytes[], deadlineAtMs: number): Promise<RoundRow> {
    const change = { state: "collecting" as const, cohort: concat(...cohort), deadline_at: deadlineAtMs };
    return await this.#writer.write((tx) => advance(tx, row, change));
  }

  async extendDeadline(row: RoundRow, deadlineAtMs: number): Promise<RoundRow> {
    return await this.#writer.write((tx) => advance(tx, row, { deadline_at: deadlineAtMs }));
  }

  async startAggregating(row: RoundRow): Promise<RoundRow> {
    return await this.#writer.write((tx) => advance(tx, row, { state: "aggregating" }));
  }

  async fail(row: RoundRow, failure: string): Promise<RoundRow> {
    return await this.#writer.write(async (tx) => {
      const subject = `round ${row.round}`;
      await this.#audit.append(tx, { type: "round.failed", subject, digest: row.base_digest });
      return await advance(tx, row, { state: "failed", failure, closed_at: this.#clock.nowMs() });
    });
  }

  /** Inside the transaction that stores the enclave's answer; opens the next round in the same one. */
  async publish(
    tx: Transaction<Tables>,
    row: RoundRow,
    { model, report, isLast }: { model: ModelRow; report: Bytes; isLast: boolean },
  ): Promise<RoundRow> {
    await this.addModel(tx, model);
    const subject = `round ${row.round}`;
    await this.#audit.append(tx, { type: "round.committed", subject, digest: sha256(report) });
    const change = { state: "published" as const, model_digest: model.digest, report, closed_at: model.published_at };
    const closed = await advance(tx, row, change);
    if (!isLast) await this.#insertRound(tx, model, row.round + 1);
    return closed;
  }

  /** The report of a round that was published; null for round 0, which has none. */
  async reportOf(round: number): Promise<Bytes | null> {
    const query = this.#db.selectFrom("rounds").select("report").where("round", "=", round);
    return (await query.executeTakeFirst())?.report ?? null;
  }

  async addModel(tx: Transaction<Tables>, model: ModelRow): Promise<void> {
    await tx.insertInto("models").values(model).execute();
    await this.#audit.append(tx, {
      type: "model.published",
      subject: `round ${model.round}`,
      digest: model.digest,
      data: model.statement,
    });
  }

  /** The enclave that goes on from a model it has not made has signed it anew. */
  async adoptModel(
    tx: Transaction<Tables>,
    round: number,
    { statement, signature }: Pick<ModelRow, "statement" | "signature">,
  ): Promise<void> {
    const query = tx.updateTable("models").set({ statement, signature }).where("round", "=", round);
    const { digest } = await query.returning("digest").executeTakeFirstOrThrow();
    await this.#audit.append(tx, { type: "model.adopted", subject: `round ${round}`, digest, data: statement });
  }

  async findUpdate(round: number, deviceId: Uint8Array): Promise<UpdateRow | undefined> {
    return await this.#db
      .selectFrom("updates")
      .selectAll()
      .where("round", "=", round)
      .where("device_id", "=", new Uint8Array(deviceId))
      .executeTakeFirst();
  }

  /** Throws update.sequence where accept would, so that an old manifest costs no space; accept has the last word. */
  async requireNewer({ device_id, sequence }: Manifest): Promise<void> {
    const query = this.#db.selectFrom("devices").select("id").where("id", "=", device_id);
    const row = await query.where("sequence", "<", sequence).executeTakeFirst();
    if (row === undefined) throw new QflareError("update.sequence");
  }

  /**
   * Row and audit entry in one transaction, while the round collects. The same manifest again gives the row that is
   * there; another one of the same device throws update.duplicate.
   */
  async accept({ manifest, encoded, signature }: SignedManifest): Promise<UpdateRow> {
    return await this.#writer.write(async (tx) => {
      const earlier = await earlierUpdate(tx, manifest, encoded);
      if (earlier !== undefined) return earlier;
      await requireCollecting(tx, manifest.round);
      await advanceSequence(tx, manifest);
      const { position, at } = await this.#audit.append(tx, {
        type: "update.accepted",
        subject: toHex(manifest.device_id),
        digest: sha256(encoded),
        data: manifest.blob_digest,
      });
      const row: UpdateRow = {
        round: manifest.round,
        device_id: manifest.device_id,
        sequence: manifest.sequence,
        blob_digest: manifest.blob_digest,
        blob_length: manifest.blob_length,
        manifest: encoded,
        signature,
        accepted_at: at,
        audit_index: position,
      };
      await tx.insertInto("updates").values(row).execute();
      return row;
    });
  }
}

async function earlierUpdate(
  tx: Transaction<Tables>,
  manifest: Manifest,
  encoded: Uint8Array,
): Promise<UpdateRow | undefined> {
  const row = await tx
    .selectFrom("updates")
    .selectAll()
    .where("round", "=", manifest.round)
    .where("device_id", "=", manifest.device_id)
    .executeTakeFirst();
  if (row !== undefined && !equal(row.manifest, encoded)) throw new QflareError("update.duplicate");
  return row;
}

async function requireCollecting(tx: Transaction<Tables>, round: number): Promise<void> {
  const row = await tx.selectFrom("rounds").select("state").where("round", "=", round).executeTakeFirst();
  if (row?.state !== "collecting")
    throw new QflareError("round.closed", `round ${round} is ${row?.state ?? "unknown"}`);
}

/** A signed manifest that was never sent cannot come in after a newer one. */
async function advanceSequence(tx: Transaction<Tables>, manifest: Manifest): Promise<void> {
  const row = await tx
    .updateTable("devices")
    .set({ sequence: manifest.sequence })
    .where("id", "=", manifest.device_id)
    .where("sequence", "<", manifest.sequence)
    .returning("id")
    .executeTakeFirst();
  if (row === undefined) throw new QflareError("update.sequence");
}

async function advance(tx: Transaction<Tables>, row: RoundRow, change: Partial<RoundRow>): Promise<RoundRow> {
  const next = { ...change, version: row.version + 1 };
  const changed = await tx
    .updateTable("rounds")
    .set(next)
    .where("round", "=", row.round)
    .where("version", "=", row.version)
    .returning("round")
    .executeTakeFirst();
  if (changed === undefined) throw new QflareError("server.unavailable", `round ${row.round} was changed elsewhere`);
  return { ...row, ...next };
}

/** Device ids of a cohort, as stored one behind the other. */
export function cohortOf(row: RoundRow): Bytes[] {
  const count = row.cohort.length / DEVICE_ID_BYTES;
  return Array.from({ length: count }, (_, i) => row.cohort.slice(i * DEVICE_ID_BYTES, (i + 1) * DEVICE_ID_BYTES));
}

export function receiptOf(row: UpdateRow, runId: Bytes): Receipt {
  return {
    v: 1,
    run_id: runId,
    round: row.round,
    device_id: row.device_id,
    blob_digest: row.blob_digest,
    manifest_digest: sha256(row.manifest),
    accepted_at: row.accepted_at,
    audit_index: row.audit_index,
  };
}
