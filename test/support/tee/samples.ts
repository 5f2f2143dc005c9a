// The samples of test/vectors/data/attestation, as verifyEvidence takes them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { QuoteCollateral } from "../../../src/attestation/collateral.ts";
import type { Evidence, Verdict } from "../../../src/attestation/evidence.ts";
import { verifyEvidence } from "../../../src/attestation/verify.ts";

const FOLDER = new URL("../../vectors/data/attestation/", import.meta.url);

export function sampleBytes(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(path, FOLDER)));
}

export function sampleText(path: string): string {
  return readFileSync(new URL(path, FOLDER), "utf8");
}

/** Fields of one case of expected.json. */
export type Expected = Readonly<Record<string, unknown>>;

export function expectedOf(kind: "sevSnp" | "nitro" | "dcap"): [string, Expected][] {
  const all = JSON.parse(sampleText("expected.json")) as Record<string, Record<string, Expected>>;
  const cases = Object.entries(all[kind] ?? {});
  assert.ok(cases.length > 0, `expected.json: expected cases of ${kind}, found none`);
  return cases;
}

export function certificatesOf(path: string): Uint8Array<ArrayBuffer>[] {
  const blocks = sampleText(path).matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
  const found = [...blocks].map((match) => Uint8Array.from(Buffer.from(match[1], "base64")));
  assert.ok(found.length > 0, `${path}: expected certificates, found none`);
  return found;
}

export interface Sample {
  readonly name: string;
  readonly evidence: Evidence;
  readonly collateral?: QuoteCollateral;
  /** Within the validity of all of it. */
  readonly now: Date;
}

function collateralOf(name: string): QuoteCollateral {
  return JSON.parse(sampleText(`${name}/collateral.json`)) as QuoteCollateral;
}

export function sevSnpSample(name: string): Sample {
  const leaf = sampleBytes(`sev-snp/${name}/vcek.der`);
  const certificates = [leaf, ...certificatesOf("sev-snp/roots/milan_ask_ark.pem")];
  const report = sampleBytes(`sev-snp/${name}/report.bin`);
  return { name, evidence: { tee: "sev-snp", report, certificates }, now: new Date("2026-11-22T00:00:00Z") };
}

export function quoteSample(name: "tdx/v4-with-collateral" | "sgx/v3-with-collateral"): Sample {
  const tee = name.startsWith("tdx") ? "tdx" : "sgx";
  const quote = sampleBytes(`${name}/quote.bin`);
  return { name, evidence: { tee, quote }, collateral: collateralOf(name), now: new Date("2025-07-04T10:30:00Z") };
}

export function nitroSample(name: string, at: string): Sample {
  const document = sampleBytes(`nitro/${name}/attestation.cbor`);
  return { name, evidence: { tee: "nitro", document }, now: new Date(at) };
}

const HARDENING = { allowed_statuses: ["UpToDate", "ConfigurationAndSWHardeningNeeded"] };
const POLICIES: Readonly<Record<string, object>> = { "sgx/v3-with-collateral": HARDENING };

/** Under the policy by which the sample's verdict is documented. */
export function verifySample({ name, evidence, collateral, now }: Sample): Verdict {
  return verifyEvidence(evidence, { now, policy: POLICIES[name] ?? {}, collateral });
}
