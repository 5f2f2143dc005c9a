// qflare audit: whether the log of a run holds together.

import type { Command } from "commander";
import { QflareError } from "../../core/error.ts";
import { type AuditSummary, verifyAudit } from "../../server/audit-verify.ts";
import { readServerPublicKeys } from "../../server/keys.ts";
import { readLedger } from "../ledger.ts";
import { createOutput } from "../output.ts";

interface Flags {
  readonly dataDir: string;
  readonly json?: boolean;
}

const PROBLEMS_SHOWN_MAX = 20;

export function addAuditCommand(program: Command): void {
  program
    .command("audit")
    .description("the audit log of a run")
    .command("verify")
    .description("check every entry, checkpoint, update and model; exit code 1 where something does not hold")
    .option("--data-dir <folder>", "data folder of the server", ".qflare")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare audit verify --data-dir .qflare")
    .action(async (flags: Flags) => await verify(flags));
}

export async function verifyFolder(dataDir: string): Promise<AuditSummary> {
  return await readLedger(dataDir, (db) => verifyAudit(db, readServerPublicKeys(dataDir)));
}

async function verify({ dataDir, json }: Flags): Promise<void> {
  const summary = await verifyFolder(dataDir);
  const { ok, entries, updates, models, checkpoints, root, problems } = summary;
  const counts = `${entries} entries, ${checkpoints} checkpoints, ${updates} updates, ${models} models`;
  createOutput(json ?? false).emit(
    { event: "audit", ...summary },
    `${ok ? "verified" : "BROKEN"}: ${counts}, root ${root}`,
  );
  if (ok) return;
  for (const problem of problems.slice(0, PROBLEMS_SHOWN_MAX)) process.stderr.write(`  ${problem}\n`);
  throw new QflareError("audit.broken", `${problems.length} problems, the first: ${problems[0]}`);
}
