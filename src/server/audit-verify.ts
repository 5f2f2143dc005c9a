// Verifies a data folder without its server: the log as any stranger would, then what only the folder shows: the signed
// manifests, reports and models behind the entries.

import type { Kysely } from "kysely";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { HASH_BYTES, TILE_WIDTH } from "../crypto/log-tree.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { signature, verifyUnderKey } from "../crypto/signature.ts";
import { type AuditEntry, enclaveRecord } from "../wire/audit.ts";
import { type LogTrust, logOrigin } from "../wire/checkpoint.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { replayRun } from "../wire/log-replay.ts";
import { type LogSource, verifyLog } from "../wire/log-verify.ts";
import { modelStatement, openModel } from "../wire/model.ts";
import { noteKey } from "../wire/note.ts";
import { policyHash } from "../wire/policy.ts";
import { reportMessage } from "../wire/report.ts";
import { encodeBundle } from "../wire/tile.ts";
import { manifestMessage } from "../wire/update.ts";
import { NO_WITNESSES } from "../wire/witness-policy.ts";
import { countEntries, loadEdge, readEntries, readFullTile } from "./log-store.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Tables } from "./store/schema.ts";

export interface AuditSummary {
  readonly ok: boolean;
  /** What does not hold; empty where ok. */
  readonly problems: readonly string[];
  readonly entries: number;
  readonly updates: number;
  readonly models: number;
  /** Root over all entries, hexadecimal. */
  readonly root: string;
  /** Round that is under way. */
  readonly open_round: number | null;
}

export interface AuditOptions {
  /** Notes of checkpoints that the log gave before. */
  readonly earlier?: readonly string[];
  /** Where the models lie; without it their files are not looked at. */
  readonly blobs?: Pick<BlobStore, "read">;
}

type Check = (holds: boolean, problem: string) => void;

const NOTHING = new Uint8Array(32);

/** serverPublicKeys: that the run's log may be signed by, in the order in which they come into force. */
export async function verifyAudit(
  db: Kysely<Tables>,
  serverPublicKeys: readonly Uint8Array[],
  { earlier = [], blobs }: AuditOptions = {},
): Promise<AuditSummary> {
  const problems: string[] = [];
  const check: Check = (holds, problem) => {
    if (!holds) problems.push(problem);
  };
  const run = await db.selectFrom("run").selectAll().executeTakeFirst();
  const runId = run?.run_id ?? NOTHING;
  const origin = logOrigin(runId);
  const logKeys = serverPublicKeys.map((key) => noteKey(origin, "ml-dsa-44", key));
  const trust: LogTrust = { origin, logKeys, policy: NO_WITNESSES };
  const stored = await db.selectFrom("checkpoints").selectAll().orderBy("size").execute();
  const notes = stored.slice(0, -1).map(({ note }) => note);
  const log = await verifyLog(databaseSource(db), trust, [...notes, ...earlier]);
  problems.push(...log.problems);
  const count = await countEntries(db);
  const size = log.checkpoint?.size ?? 0;
  check(count === size, `the log holds ${count} entries, its newest checkpoint is over ${size}`);
  const story = replayRun(log.entries, toHex(runId));
  problems.push(...story.problems);
  const facts = {
    runId,
    policyHash: policyHash(run?.policy ?? NOTHING),
    enclaveKeys: [...endedIdentities(log.entries), run?.enclave_public_key ?? NOTHING],
  };
  verifyEnclaveKeys(log.entries, facts.enclaveKeys, check);
  await verifyUpdates(db, log.entries, facts, check);
  await verifyModels(db, log.entries, facts, check);
  if (blobs !== undefined) await verifyFiles(db, blobs, check);
  return {
    ok: problems.length === 0,
    problems,
    entries: count,
    updates: story.updates,
    models: story.models,
    root: toHex(log.checkpoint?.root ?? sha256()),
    open_round: story.openRound ?? null,
  };
}

/** A log as it lies in a ledger. */
function databaseSource(db: Kysely<Tables>): LogSource {
  return {
    checkpoint: async () => {
      const query = db.selectFrom("checkpoints").select("note").orderBy("size", "desc").limit(1);
      return (await query.executeTakeFirst())?.note;
    },
    tile: async (row, number, width) => {
      const full = await readFullTile(db, row, number);
      const tile = full ?? (await loadEdge(db, await countEntries(db))).partial(row, number);
      return tile?.slice(0, width * HASH_BYTES) ?? new Uint8Array(0);
    },
    bundle: async (number, width) => encodeBundle(await readEntries(db, number * TILE_WIDTH, width)),
  };
}

interface RunFacts {
  readonly runId: Uint8Array;
  readonly policyHash: Uint8Array;
  /** The enclave's identities, one after the other: each ends with its sealing key. */
  readonly enclaveKeys: readonly Uint8Array[];
}

function endedIdentities(entries: readonly (AuditEntry | undefined)[]): Uint8Array[] {
  return entries.flatMap((entry) => (entry?.type === "enclave.replaced" ? [entry.data] : []));
}

function verifyEnclaveKeys(
  entries: readonly (AuditEntry | undefined)[],
  keys: readonly Uint8Array[],
  check: Check,
): void {
  let ended = 0;
  for (const entry of entries) {
    if (entry?.type === "enclave.replaced") ended += 1;
    const key = keys[ended]!;
    const record = entry?.type === "enclave.operation" ? attempt(() => enclaveRecord.decode(entry.data)) : undefined;
    if (record?.operation !== "open") continue;
    check(equal(record.subject, sha256(key)), `enclave record ${record.sequence} names another enclave key`);
  }
}

async function verifyUpdates(
  db: Kysely<Tables>,
  entries: readonly (AuditEntry | undefined)[],
  { runId, policyHash: promised }: RunFacts,
  check: Check,
): Promise<void> {
  const updates = await db.selectFrom("updates").selectAll().execute();
  const devices = await db.selectFrom("devices").select(["id", "signature_public_key"]).execute();
  const former = await db.selectFrom("former_devices").select(["id", "signature_public_key"]).execute();
  const rounds = await db.selectFrom("rounds").select(["round", "base_digest"]).execute();
  const keys = new Map([...devices, ...former].map((device) => [toHex(device.id), device.signature_public_key]));
  const bases = new Map(rounds.map(({ round, base_digest }) => [round, base_digest]));
  for (const row of updates) {
    const id = toHex(row.device_id);
    const what = `update of ${id} in round ${row.round}`;
    const entry = entries[row.audit_index];
    const isLogged = entry?.type === "update.accepted" && equal(entry.digest, sha256(row.manifest));
    check(isLogged && entry.subject === id, `${what} is not in the log where its receipt says`);
    const publicKey = keys.get(id) ?? NOTHING;
    const isSigned = verifyUnderKey(publicKey, row.manifest, row.signature, CONTEXTS.update);
    check(isSigned, `${what} is not signed by its device`);
    const manifest = attempt(() => manifestMessage.decode(row.manifest));
    check(manifest?.round === row.round, `${what} was signed for another round`);
    check(equal(manifest?.device_id ?? NOTHING, row.device_id), `${what} was signed by another device`);
    check(equal(manifest?.run_id ?? NOTHING, runId), `${what} was signed for another run`);
    check(equal(manifest?.policy_hash ?? NOTHING, promised), `${what} was signed under another policy`);
    check(equal(manifest?.base_digest ?? NOTHING, bases.get(row.round) ?? runId), `${what} is for another base model`);
  }
  const logged = entries.filter((entry) => entry?.type === "update.accepted").length;
  check(logged === updates.length, `the log has ${logged} accepted updates, the ledger ${updates.length}`);
}

/** Each model is signed by the enclave and stands on the one before; its report judges just the accepted updates. */
async function verifyModels(
  db: Kysely<Tables>,
  entries: readonly (AuditEntry | undefined)[],
  facts: RunFacts,
  check: Check,
): Promise<void> {
  const models = await db.selectFrom("models").selectAll().orderBy("round").execute();
  // By round too: where no update moves the model, the next one has the digest of the one before.
  const published = entries.flatMap((one) =>
    one?.type === "model.published" ? [`${one.subject} ${toHex(one.digest)}`] : [],
  );
  const heads = aggregateHeads(entries);
  let base: Uint8Array = NOTHING;
  for (const model of models) {
    const what = `model of round ${model.round}`;
    const isSigned = facts.enclaveKeys.some((key) =>
      signature("ML-DSA-44").verify(key, model.statement, model.signature, CONTEXTS.model),
    );
    check(isSigned, `${what} is not signed by the enclave`);
    const statement = attempt(() => modelStatement.decode(model.statement));
    const isAbout = statement?.round === model.round && equal(statement.model_digest, model.digest);
    check(isAbout, `${what} has a statement about another one`);
    check(equal(statement?.run_id ?? NOTHING, facts.runId), `${what} has a statement of another run`);
    check(equal(statement?.policy_hash ?? NOTHING, facts.policyHash), `${what} was made under another policy`);
    check(statement !== undefined && equal(statement.base_digest, base), `${what} does not stand on the one before`);
    check(published.includes(`round ${model.round} ${toHex(model.digest)}`), `${what} is not in the log`);
    if (model.round > 0) {
      const digest = statement?.report_digest ?? NOTHING;
      await verifyReport(db, model.round, { what, digest, head: heads.get(model.round) }, check);
    }
    base = model.digest;
  }
  check(published.length === models.length, `the log has ${published.length} models, the ledger ${models.length}`);
}

async function verifyReport(
  db: Kysely<Tables>,
  round: number,
  { what, digest, head }: { what: string; digest: Uint8Array; head: string | undefined },
  check: Check,
): Promise<void> {
  const row = await db.selectFrom("rounds").select("report").where("round", "=", round).executeTakeFirst();
  const stored = row?.report ?? NOTHING;
  const isReported = equal(sha256(stored), digest);
  check(isReported, `${what} has another report than the one that was signed`);
  const report = isReported ? attempt(() => reportMessage.decode(stored)) : undefined;
  if (report === undefined) return;
  check(toHex(report.enclave_audit_head) === head, `${what} was reported at another point of the enclave's chain`);
  const updates = await db.selectFrom("updates").select("device_id").where("round", "=", round).execute();
  const accepted = updates.map((update) => toHex(update.device_id)).sort();
  const judged = report.updates.map((update) => toHex(update.device_id)).sort();
  check(accepted.join() === judged.join(), `${what}: the report does not judge exactly the accepted updates`);
}

/** The files of the models are what the digests say. */
async function verifyFiles(db: Kysely<Tables>, blobs: Pick<BlobStore, "read">, check: Check): Promise<void> {
  for (const model of await db.selectFrom("models").selectAll().orderBy("round").execute()) {
    const what = `file of the model of round ${model.round}`;
    try {
      const file = openModel(model.content_key, model.digest, await blobs.read(model.blob_digest));
      check(equal(blobDigest(file), model.digest), `${what} is another one`);
    } catch (error) {
      if (!(error instanceof QflareError)) throw error;
      check(false, `${what}: ${error.message}`);
    }
  }
}

/** For each round, the head of the enclave's chain just before its aggregation. */
function aggregateHeads(entries: readonly (AuditEntry | undefined)[]): Map<number, string> {
  const heads = new Map<number, string>();
  for (const entry of entries) {
    const record = entry?.type === "enclave.operation" ? attempt(() => enclaveRecord.decode(entry.data)) : undefined;
    if (record?.operation === "aggregate") heads.set(record.round, toHex(record.previous));
  }
  return heads;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof QflareError) return undefined;
    throw error;
  }
}
