// qflare enclave: whether evidence of an enclave is genuine and good enough.

import type { Command } from "commander";
import type { Evidence, Verdict } from "../../attestation/evidence.ts";
import { readEvidenceFile } from "../../attestation/evidence-file.ts";
import { fetchCollateral } from "../../attestation/fetch-collateral.ts";
import { verifyEvidence } from "../../attestation/verify.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { readEvidencePolicy } from "../evidence.ts";
import { readJson, writeNamed } from "../files.ts";
import { createOutput, UsageError } from "../output.ts";

interface VerifyFlags {
  readonly evidence: string;
  readonly policy: string;
  readonly collateral?: string;
  readonly at?: string;
  readonly json?: boolean;
}

interface CollateralFlags {
  readonly evidence: string;
  readonly out: string;
  readonly json?: boolean;
}

const VERIFY_EXAMPLE = `
Exit code 0 where the evidence is genuine and meets the policy, else 1. Files: docs/attestation.md.

Example:
  qflare enclave verify --evidence evidence.json --policy policy.json --collateral collateral.json`;

const COLLATERAL_EXAMPLE = `
Asks Intel (TDX, SGX) or AMD (SEV-SNP); the only command here that uses the network.

Example:
  qflare enclave collateral --evidence evidence.json --out collateral.json`;

export function addEvidenceCommands(enclave: Command): void {
  enclave
    .command("verify")
    .description("check evidence against the vendors' roots and a policy, without any network")
    .requiredOption("--evidence <file>", "JSON file of the evidence")
    .requiredOption("--policy <file>", "JSON file of the appraisal policy")
    .option("--collateral <file>", "JSON file of what the vendor says about the platform; TDX and SGX need one")
    .option("--at <time>", "time at which all of it must be valid, as 2026-01-31T12:00:00Z; now by default")
    .option("--json", "one JSON object a line")
    .addHelpText("after", VERIFY_EXAMPLE)
    .action((flags: VerifyFlags) => verify(flags));
  enclave
    .command("collateral")
    .description("fetch what the vendor says about the platform that made the evidence")
    .requiredOption("--evidence <file>", "JSON file of the evidence")
    .requiredOption("--out <file>", "JSON file to write")
    .option("--json", "one JSON object a line")
    .addHelpText("after", COLLATERAL_EXAMPLE)
    .action(async (flags: CollateralFlags) => await collateral(flags));
}

function readEvidence(path: string): Evidence {
  return readEvidenceFile(readJson(path, "--evidence", LIMITS.collateralBytesMax));
}

/** UTC, to the second or the millisecond. */
function readTime(text: string): Date {
  const time = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(text) ? text : Number.NaN);
  if (Number.isNaN(time.getTime()))
    throw new UsageError(`--at: expected a time like 2026-01-31T12:00:00Z, got ${text}`);
  return time;
}

function verify(flags: VerifyFlags): void {
  const policy = readEvidencePolicy(flags.policy, "--policy");
  const evidence = readEvidence(flags.evidence);
  const { collateral: file } = flags;
  const collateral = file === undefined ? undefined : readJson(file, "--collateral", LIMITS.collateralBytesMax);
  const now = flags.at === undefined ? new Date() : readTime(flags.at);
  const verdict = verifyEvidence(evidence, { now, policy, collateral });
  const isPinned = policy.allowed_measurements !== undefined;
  createOutput(flags).emit(eventOf(verdict), describe(verdict, isPinned));
  if (!verdict.ok) throw new QflareError("evidence.refused", verdict.reasons.join("; "));
}

function eventOf({ reportData, tcbStatus, ...verdict }: Verdict): object {
  const status = tcbStatus === undefined ? {} : { tcb_status: tcbStatus };
  return { event: "evidence", ...verdict, report_data: reportData, ...status };
}

function describe(verdict: Verdict, isPinned: boolean): string {
  const { ok, tee, measurement, reportData, debug, tcbStatus, advisories } = verdict;
  const lines = [
    `${ok ? "verified" : "REFUSED"}: ${tee}${debug ? ", debug mode" : ""}`,
    `measurement  ${measurement}${isPinned ? "" : "  (the policy names no measurement: compare it yourself)"}`,
    `report data  ${reportData}`,
  ];
  if (tcbStatus !== undefined) lines.push(`TCB status   ${[tcbStatus, ...(advisories ?? [])].join(", ")}`);
  return lines.join("\n");
}

async function collateral({ evidence, out, json }: CollateralFlags): Promise<void> {
  const found = await fetchCollateral(readEvidence(evidence), { fetch, nowMs: Date.now() });
  if (found === undefined) throw new UsageError("--evidence: this kind of evidence needs no collateral");
  writeNamed(out, "--out", `${JSON.stringify(found, undefined, 2)}\n`);
  createOutput({ json }).emit({ event: "collateral", out, members: Object.keys(found) }, `written: ${out}`);
}
