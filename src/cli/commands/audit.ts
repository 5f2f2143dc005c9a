// qflare audit: whether the log of a run holds together, seen from its folder or from outside.

import { join } from "node:path";
import { type Command, Option } from "commander";
import { toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { systemRandom } from "../../crypto/random.ts";
import { type AuditSummary, verifyAudit } from "../../server/audit-verify.ts";
import { BLOB_FOLDER } from "../../server/data-folder.ts";
import { readLogKeys, readServerPublicKeys } from "../../server/keys.ts";
import { BlobStore } from "../../server/store/blobs.ts";
import { replayRun } from "../../wire/log-replay.ts";
import { verifyLog } from "../../wire/log-verify.ts";
import { formatVkey } from "../../wire/note.ts";
import { receiptAnswer, verifyReceipt } from "../../wire/receipt.ts";
import { readBytes, readText } from "../files.ts";
import { readLedger } from "../ledger.ts";
import { remoteLog, requireServerUrl } from "../log-source.ts";
import { type Pinned, pinnedBy, runIdOf, type TrustFlags } from "../log-trust.ts";
import { createOutput, printable, UsageError } from "../output.ts";
import { collect } from "../parse.ts";

interface Flags extends TrustFlags {
  readonly dataDir?: string;
  readonly url?: string;
  readonly from?: readonly string[];
  readonly type?: string;
  readonly json?: boolean;
}

const DATA_FOLDER = ".qflare";
const PROBLEMS_SHOWN_MAX = 20;

export function addAuditCommand(program: Command): Command {
  const audit = program.command("audit").description("the audit log of a run");
  audit
    .command("verify")
    .description("check every entry, signature, update and model; exit code 1 where something does not hold")
    .option("--data-dir <folder>", `data folder of the server (default: "${DATA_FOLDER}")`)
    .option("--url <url>", "read the log of a running server instead, as any stranger can")
    .option(
      "--key <vkey>",
      "with --url: the log's verifier key, as qflare audit keys prints it; again for its other type",
      collect,
    )
    .option("--keystore <file>", "with --url: the key file of a device of the run, in place of --key")
    .option("--from <file...>", "checkpoints that the log gave before and must continue")
    .option("--witness-policy <file>", "with --url: who must have cosigned the log (C2SP tlog-policy)")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit verify --data-dir .qflare --from device.key.log")
    .action(async (flags: Flags) => await verify(flags));
  audit
    .command("keys")
    .description("the log's verifier keys, for those who check it from outside: former ones, in force, announced")
    .option("--data-dir <folder>", "data folder of the server", DATA_FOLDER)
    .addOption(new Option("--type <type>", "of this type alone").choices(["ed25519", "ml-dsa-44"]))
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit keys --data-dir .qflare")
    .action(async (flags: Flags) => await keys(flags));
  audit
    .command("receipt")
    .description("check a device's receipt without the server")
    .argument("<file>", "as qflare device run --receipts writes it")
    .option(
      "--key <vkey>",
      "the log's ML-DSA-44 verifier key, as qflare audit keys prints it; again for Ed25519",
      collect,
    )
    .option("--keystore <file>", "the key file of a device of the run, in place of --key")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit receipt round-1.receipt --keystore device.key")
    .action((file: string, flags: Flags) => receipt(file, flags));
  return audit;
}

export async function verifyFolder(dataDir: string, earlier: readonly string[] = []): Promise<AuditSummary> {
  const blobs = new BlobStore(join(dataDir, BLOB_FOLDER), systemRandom);
  return await readLedger(dataDir, (db) => verifyAudit(db, readServerPublicKeys(dataDir), { earlier, blobs }));
}

/** As a stranger: by the log's files alone. */
async function verifyUrl(url: string, pinned: Pinned, earlier: readonly string[]): Promise<AuditSummary> {
  const source = remoteLog(url);
  try {
    const trust = pinned.follow(await source.announcements());
    const { checkpoint, entries, problems } = await verifyLog(source, trust, earlier);
    const story = replayRun(entries, runIdOf(trust));
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
  const isRemote = flags.url !== undefined;
  if (isRemote && flags.dataDir !== undefined) throw new UsageError("--data-dir and --url: expected one of them");
  if (isRemote) requireServerUrl(flags.url);
  const earlier = (flags.from ?? []).map((path) => readText(path, "--from", LIMITS.noteBytesMax));
  if (!isRemote && (flags.key ?? flags.keystore ?? flags.witnessPolicy) !== undefined) {
    throw new UsageError("--key, --keystore and --witness-policy: expected --url with them");
  }
  const summary = isRemote
    ? await verifyUrl(flags.url, pinnedBy(flags), earlier)
    : await verifyFolder(flags.dataDir ?? DATA_FOLDER, earlier);
  const { ok, entries, updates, models, root, problems } = summary;
  const counts = `${entries} entries, ${updates} updates, ${models} models`;
  createOutput(flags).emit({ event: "audit", ...summary }, `${ok ? "verified" : "BROKEN"}: ${counts}, root ${root}`);
  if (ok) return;
  for (const problem of problems.slice(0, PROBLEMS_SHOWN_MAX)) process.stderr.write(`  ${printable(problem)}\n`);
  throw new QflareError("audit.broken", `${problems.length} problems, the first: ${problems[0]}`);
}

async function keys({ dataDir = DATA_FOLDER, type, json }: Flags): Promise<void> {
  const run = await readLedger(dataDir, (db) => db.selectFrom("run").select("run_id").executeTakeFirst());
  if (run === undefined) throw new UsageError(`--data-dir: ${dataDir} holds no run yet`);
  const { inForce, next, former } = readLogKeys(dataDir, run.run_id);
  const output = createOutput({ json });
  for (const [state, keys] of Object.entries({ former, in_force: inForce, next })) {
    for (const key of keys.filter((one) => type === undefined || one.type === type))
      output.emit({ event: "key", state, type: key.type, vkey: formatVkey(key) }, formatVkey(key));
  }
}

function receipt(file: string, flags: Flags): void {
  const { trust, receiptKeys } = pinnedBy(flags);
  const encoded = readBytes(file, "receipt", receiptAnswer.bytesMax);
  if (receiptKeys.length === 0) throw new UsageError("--key: expected the log's ML-DSA-44 key");
  const { receipt: fields, checkpoint } = verifyReceipt(encoded, receiptKeys, trust);
  const { round, audit_index, accepted_at } = fields;
  const device_id = toHex(fields.device_id);
  const at = new Date(accepted_at).toISOString();
  createOutput(flags).emit(
    { event: "receipt", ok: true, round, device_id, audit_index, accepted_at: at, log_size: checkpoint.size },
    `holds: update of ${device_id} in round ${round}, accepted ${at}, entry ${audit_index} of ${checkpoint.size}`,
  );
}
