// qflare audit: whether the log of a run holds together, seen from its folder or from outside.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { systemRandom } from "../../crypto/random.ts";
import { loadKeystore } from "../../device/keystore.ts";
import { type AuditSummary, verifyAudit } from "../../server/audit-verify.ts";
import { readLogKeys, readLogPublicKey } from "../../server/keys.ts";
import { BLOB_FOLDER } from "../../server/server.ts";
import { BlobStore } from "../../server/store/blobs.ts";
import { type LogTrust, logOrigin } from "../../wire/checkpoint.ts";
import { identityMessage } from "../../wire/identity.ts";
import { replayRun } from "../../wire/log-replay.ts";
import { verifyLog } from "../../wire/log-verify.ts";
import { formatVkey, type NoteKey, noteKey, parseVkey } from "../../wire/note.ts";
import { verifyReceipt } from "../../wire/receipt.ts";
import { NO_WITNESSES, parseWitnessPolicy } from "../../wire/witness-policy.ts";
import { readLedger } from "../ledger.ts";
import { remoteLog } from "../log-source.ts";
import { createOutput, UsageError } from "../output.ts";

interface Flags {
  readonly dataDir: string;
  readonly url?: string;
  readonly key?: string;
  readonly keystore?: string;
  readonly from?: readonly string[];
  readonly witnessPolicy?: string;
  readonly json?: boolean;
}

const PROBLEMS_SHOWN_MAX = 20;
const ORIGIN = /^qflare\/([0-9a-f]{64})$/;

export function addAuditCommand(program: Command): Command {
  const audit = program.command("audit").description("the audit log of a run");
  audit
    .command("verify")
    .description("check every entry, signature, update and model; exit code 1 where something does not hold")
    .option("--data-dir <folder>", "data folder of the server", ".qflare")
    .option("--url <url>", "read the log of a running server instead, as any stranger can")
    .option("--key <vkey>", "with --url: the log's verifier key, as qflare audit keys prints it")
    .option("--keystore <file>", "with --url: the key file of a device of the run, in place of --key")
    .option("--from <file...>", "checkpoints that the log gave before and must continue")
    .option("--witness-policy <file>", "with --url: who must have cosigned the log (C2SP tlog-policy)")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit verify --data-dir .qflare --from device.key.log")
    .action(async (flags: Flags) => await verify(flags));
  audit
    .command("keys")
    .description("the log's verifier keys, for those who check it from outside")
    .option("--data-dir <folder>", "data folder of the server", ".qflare")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit keys --data-dir .qflare")
    .action(async (flags: Flags) => await keys(flags));
  audit
    .command("receipt")
    .description("check a device's receipt without the server")
    .argument("<file>", "as qflare device run --receipts writes it")
    .option("--key <vkey>", "the log's ML-DSA-44 verifier key, as qflare audit keys prints it")
    .option("--keystore <file>", "the key file of a device of the run, in place of --key")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit receipt round-1.receipt --keystore device.key")
    .action((file: string, flags: Flags) => receipt(file, flags));
  return audit;
}

export async function verifyFolder(dataDir: string, earlier: readonly string[] = []): Promise<AuditSummary> {
  const blobs = new BlobStore(join(dataDir, BLOB_FOLDER), systemRandom);
  return await readLedger(dataDir, (db) => verifyAudit(db, readLogPublicKey(dataDir), { earlier, blobs }));
}

/** As a stranger: by the log's files alone. */
async function verifyUrl(url: string, trust: LogTrust, earlier: readonly string[]): Promise<AuditSummary> {
  const source = remoteLog(url);
  try {
    const { checkpoint, entries, problems } = await verifyLog(source, trust, earlier);
    const story = replayRun(entries, ORIGIN.exec(trust.origin)?.[1] ?? "");
    const all = [...problems, ...story.problems];
    return {
      ok: all.length === 0,
      problems: all,
      entries: entries.length,
      updates: story.updates,
      models: story.models,
      root: toHex(checkpoint?.root ?? new Uint8Array(0)),
      open_round: story.openRound ?? null,
    };
  } finally {
    source.close();
  }
}

async function verify(flags: Flags): Promise<void> {
  const earlier = (flags.from ?? []).map((path) => readFileSync(path, "utf8"));
  const isRemote = flags.url !== undefined;
  if (!isRemote && (flags.key ?? flags.keystore ?? flags.witnessPolicy) !== undefined) {
    throw new UsageError("--key, --keystore and --witness-policy: expected --url with them");
  }
  const summary = isRemote
    ? await verifyUrl(flags.url, trustOf(flags), earlier)
    : await verifyFolder(flags.dataDir, earlier);
  const { ok, entries, updates, models, root, problems } = summary;
  const counts = `${entries} entries, ${updates} updates, ${models} models`;
  createOutput(flags.json ?? false).emit(
    { event: "audit", ...summary },
    `${ok ? "verified" : "BROKEN"}: ${counts}, root ${root}`,
  );
  if (ok) return;
  for (const problem of problems.slice(0, PROBLEMS_SHOWN_MAX)) process.stderr.write(`  ${problem}\n`);
  throw new QflareError("audit.broken", `${problems.length} problems, the first: ${problems[0]}`);
}

/** The log that --key or --keystore names. */
function trustOf(flags: Flags): LogTrust {
  const logKey = logKeyOf(flags);
  const file = flags.witnessPolicy;
  const policy = file === undefined ? NO_WITNESSES : parseWitnessPolicy(readFileSync(file, "utf8"));
  return { origin: logKey.name, logKey, policy };
}

function logKeyOf({ key, keystore }: Flags): NoteKey {
  if ((key === undefined) === (keystore === undefined)) throw new UsageError("expected --key or --keystore");
  const found = key === undefined ? pinnedKey(keystore!) : vkey(key, "--key");
  if (!ORIGIN.test(found.name)) throw new UsageError(`--key: expected a key of a run's log, got one of ${found.name}`);
  return found;
}

function pinnedKey(path: string): NoteKey {
  const keystore = loadKeystore(path);
  if (keystore === undefined) throw new UsageError(`--keystore: there is no ${path}`);
  const { log_public_key } = identityMessage.decode(keystore.identity);
  return noteKey(logOrigin(keystore.run_id), "ml-dsa-44", log_public_key);
}

function vkey(text: string, flag: string): NoteKey {
  const key = parseVkey(text);
  if (key === undefined) throw new UsageError(`${flag}: expected a verifier key, got ${text.slice(0, 80)}`);
  return key;
}

async function keys({ dataDir, json }: Flags): Promise<void> {
  const run = await readLedger(dataDir, (db) => db.selectFrom("run").select("run_id").executeTakeFirst());
  if (run === undefined) throw new UsageError(`--data-dir: ${dataDir} holds no run yet`);
  for (const key of readLogKeys(dataDir, run.run_id)) {
    createOutput(json ?? false).emit({ event: "key", type: key.type, vkey: formatVkey(key) }, formatVkey(key));
  }
}

function receipt(file: string, flags: Flags): void {
  const trust = trustOf(flags);
  if (trust.logKey.type !== "ml-dsa-44") throw new UsageError("--key: expected the log's ML-DSA-44 key");
  const { receipt: fields, checkpoint } = verifyReceipt(readFileSync(file), trust.logKey.publicKey, trust);
  const { round, audit_index, accepted_at } = fields;
  const device_id = toHex(fields.device_id);
  const at = new Date(accepted_at).toISOString();
  createOutput(flags.json ?? false).emit(
    { event: "receipt", ok: true, round, device_id, audit_index, accepted_at: at, log_size: checkpoint.size },
    `holds: update of ${device_id} in round ${round}, accepted ${at}, entry ${audit_index} of ${checkpoint.size}`,
  );
}
