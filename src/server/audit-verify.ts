// Verifies the audit log of a data folder, without the server: every entry, every checkpoint, the enclave's chain, each
// accepted update, and the line of models from the first to the newest.

import type { Kysely } from "kysely";
import { equal, toHex } from "../core/bytes.ts";
import { sha256 } from "../crypto/hash.ts";
import { GrowingTree, leafHash } from "../crypto/merkle.ts";
import { signature, verifyUnderKey } from "../crypto/signature.ts";
import { type AuditEntry, auditEntry, checkpointMessage, enclaveRecord, signedCheckpoint } from "../wire/audit.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { modelStatement } from "../wire/model.ts";
import { reportMessage } from "../wire/report.ts";
import { manifestMessage } from "../wire/update.ts";
import type { Tables } from "./store/schema.ts";

export interface AuditSummary {
  readonly ok: boolean;
  /** What does not hold; empty where ok. */
  readonly problems: readonly string[];
  readonly entries: number;
  readonly updates: number;
  readonly models: number;
  readonly checkpoints: number;
  /** Root over all entries, hexadecimal. */
  readonly root: string;
}

type Check = (holds: boolean, problem: string) => void;

const NOTHING = new Uint8Array(32);

/** serverPublicKeys: in the order in which they were in force. */
export async function verifyAudit(db: Kysely<Tables>, serverPublicKeys: readonly Uint8Array[]): Promise<AuditSummary> {
  const problems: string[] = [];
  const check: Check = (holds, problem) => {
    if (!holds) problems.push(problem);
  };
  const entries = await readEntries(db, check);
  const { root, checkpoints } = await verifyCheckpoints(db, entries.leaves, serverPublicKeys, check);
  const enclaveKey = await verifyEnclaveChain(db, entries.list, check);
  const updates = await verifyUpdates(db, entries.list, check);
  const models = await verifyModels(db, entries.list, enclaveKey, check);
  return { ok: problems.length === 0, problems, entries: entries.list.length, updates, models, checkpoints, root };
}

async function readEntries(db: Kysely<Tables>, check: Check): Promise<{ list: AuditEntry[]; leaves: Uint8Array[] }> {
  const rows = await db.selectFrom("audit").selectAll().orderBy("position").execute();
  const list: AuditEntry[] = [];
  const leaves: Uint8Array[] = [];
  for (const [i, row] of rows.entries()) {
    check(row.position === i, `entry ${i} is missing`);
    const leaf = leafHash(row.entry);
    check(equal(leaf, row.leaf_hash), `entry ${i} differs from its leaf`);
    leaves.push(leaf);
    const entry = attempt(() => auditEntry.decode(row.entry));
    check(entry !== undefined, `entry ${i} cannot be read`);
    if (entry !== undefined) list.push(entry);
  }
  return { list, leaves };
}

async function verifyCheckpoints(
  db: Kysely<Tables>,
  leaves: readonly Uint8Array[],
  serverPublicKeys: readonly Uint8Array[],
  check: Check,
): Promise<{ root: string; checkpoints: number }> {
  const rows = await db.selectFrom("checkpoints").selectAll().orderBy("size").execute();
  const tree = new GrowingTree();
  let inForce = 0;
  for (const { size, signed } of rows) {
    const what = `checkpoint of ${size} entries`;
    const outer = attempt(() => signedCheckpoint.decode(signed));
    const fields = outer === undefined ? undefined : attempt(() => checkpointMessage.decode(outer.checkpoint));
    if (outer === undefined || fields === undefined) {
      check(false, `${what} cannot be read`);
      continue;
    }
    // A key that has been replaced signs nothing any more.
    const signer = serverPublicKeys.findIndex(
      (key, i) => i >= inForce && verifyUnderKey(key, outer.checkpoint, outer.signature, CONTEXTS.checkpoint),
    );
    check(signer >= 0, `${what} is not signed by the server`);
    inForce = Math.max(inForce, signer);
    check(fields.size === size && size <= leaves.length, `${what}: the log holds ${leaves.length}`);
    while (tree.size < Math.min(size, leaves.length)) tree.append(leaves[tree.size]!);
    check(equal(tree.root(), fields.root), `${what} has another root than the log`);
  }
  while (tree.size < leaves.length) tree.append(leaves[tree.size]!);
  return { root: toHex(tree.root()), checkpoints: rows.length };
}

/** Every record names the one before. Returns the key that the enclave's first record names. */
async function verifyEnclaveChain(
  db: Kysely<Tables>,
  entries: readonly AuditEntry[],
  check: Check,
): Promise<Uint8Array> {
  const run = await db.selectFrom("run").select("enclave_public_key").executeTakeFirst();
  const publicKey = run?.enclave_public_key ?? NOTHING;
  let head: Uint8Array = NOTHING;
  let sequence = 0;
  for (const entry of entries.filter((candidate) => candidate.type === "enclave.operation")) {
    const record = attempt(() => enclaveRecord.decode(entry.data));
    const follows = record !== undefined && record.sequence === sequence && equal(record.previous, head);
    check(follows, `enclave record ${sequence} does not follow the one before it`);
    if (record?.operation === "open") {
      check(equal(record.subject, sha256(publicKey)), `enclave record ${sequence} names another enclave key`);
    }
    head = sha256(entry.data);
    sequence += 1;
  }
  return publicKey;
}

async function verifyUpdates(db: Kysely<Tables>, entries: readonly AuditEntry[], check: Check): Promise<number> {
  const updates = await db.selectFrom("updates").selectAll().execute();
  const devices = await db.selectFrom("devices").select(["id", "signature_public_key"]).execute();
  const former = await db.selectFrom("former_devices").select(["id", "signature_public_key"]).execute();
  const keys = new Map([...devices, ...former].map((device) => [toHex(device.id), device.signature_public_key]));
  for (const row of updates) {
    const what = `update of ${toHex(row.device_id)} in round ${row.round}`;
    const entry = entries[row.audit_index];
    const isLogged = entry?.type === "update.accepted" && equal(entry.digest, sha256(row.manifest));
    check(isLogged, `${what} is not in the log where its receipt says`);
    const publicKey = keys.get(toHex(row.device_id)) ?? NOTHING;
    const isSigned = verifyUnderKey(publicKey, row.manifest, row.signature, CONTEXTS.update);
    check(isSigned, `${what} is not signed by its device`);
    const manifest = attempt(() => manifestMessage.decode(row.manifest));
    check(manifest?.round === row.round, `${what} was signed for another round`);
  }
  const logged = entries.filter((entry) => entry.type === "update.accepted").length;
  check(logged === updates.length, `the log has ${logged} accepted updates, the ledger ${updates.length}`);
  return updates.length;
}

/** Each model is signed by the enclave, stands on the one before, and its report is the one that was signed. */
async function verifyModels(
  db: Kysely<Tables>,
  entries: readonly AuditEntry[],
  enclaveKey: Uint8Array,
  check: Check,
): Promise<number> {
  const models = await db.selectFrom("models").selectAll().orderBy("round").execute();
  const rounds = await db.selectFrom("rounds").select(["round", "report"]).execute();
  const reports = new Map(rounds.map((row) => [row.round, row.report]));
  const published = new Set(entries.filter((e) => e.type === "model.published").map((e) => toHex(e.digest)));
  const heads = aggregateHeads(entries);
  let base: Uint8Array = NOTHING;
  for (const model of models) {
    const what = `model of round ${model.round}`;
    const isSigned = signature("ML-DSA-44").verify(enclaveKey, model.statement, model.signature, CONTEXTS.model);
    check(isSigned, `${what} is not signed by the enclave`);
    const statement = attempt(() => modelStatement.decode(model.statement));
    const isAbout = statement?.round === model.round && equal(statement.model_digest, model.digest);
    check(isAbout, `${what} has a statement about another one`);
    check(statement !== undefined && equal(statement.base_digest, base), `${what} does not stand on the one before`);
    check(published.has(toHex(model.digest)), `${what} is not in the log`);
    const report = reports.get(model.round);
    if (model.round > 0) {
      const isReported =
        report !== null && report !== undefined && equal(sha256(report), statement?.report_digest ?? NOTHING);
      check(isReported, `${what} has another report than the one that was signed`);
      const decoded = isReported ? attempt(() => reportMessage.decode(report)) : undefined;
      const head = decoded === undefined ? "" : toHex(decoded.enclave_audit_head);
      check(heads.get(model.round) === head, `${what} was reported at another point of the enclave's chain`);
    }
    base = model.digest;
  }
  return models.length;
}

/** For each round, the head of the enclave's chain just before its aggregation. */
function aggregateHeads(entries: readonly AuditEntry[]): Map<number, string> {
  const heads = new Map<number, string>();
  for (const entry of entries) {
    const record = entry.type === "enclave.operation" ? attempt(() => enclaveRecord.decode(entry.data)) : undefined;
    if (record?.operation === "aggregate") heads.set(record.round, toHex(record.previous));
  }
  return heads;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
