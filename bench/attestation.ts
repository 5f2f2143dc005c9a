// Verifying evidence of real hardware, warm, beside its bare signature checks by node:crypto in the same run. In
// milliseconds; ratio of p50 above 1: what reading and judging cost on top. Bars: SEV-SNP 3 ms, TDX and SGX 10 ms.
// Arguments: --rounds count, --json (one object a line).

import { parseArgs } from "node:util";
import { collect } from "../src/attestation/collect.ts";
import { ROOTS } from "../src/attestation/roots.ts";
import { verifyEvidence } from "../src/attestation/verify.ts";
import { measure, type Operation } from "../src/cli/measure.ts";
import { verifyClassical } from "../src/crypto/classical-signature.ts";
import { expectedOf, nitroSample, quoteSample, type Sample, sevSnpSample } from "../test/support/tee/samples.ts";

const BARS_MS: Readonly<Record<string, number>> = { "sev-snp": 3, tdx: 10, sgx: 10 };

/** Ours, then its signatures alone. */
function operationsOf({ name, evidence, collateral, now }: Sample): [Operation, Operation] {
  const options = { now, collateral };
  const { signatures } = collect(evidence, options, ROOTS, () => undefined).findings;
  return [
    { name, run: () => verifyEvidence(evidence, options) },
    { name: `${name} signatures alone`, run: () => signatures.every(verifyClassical) },
  ];
}

function report(sample: Sample, rounds: number, isJson: boolean): void {
  const [ours, bare] = measure(operationsOf(sample), rounds);
  const [p50, p95, reference] = [ours.p50, ours.p95, bare.p50].map((us) => us / 1000);
  const bar = BARS_MS[sample.evidence.tee];
  const figures = { name: sample.name, p50, p95, reference, ratio: p50 / reference, bar: bar ?? null, unit: "ms" };
  if (isJson) {
    console.log(JSON.stringify(figures));
    return;
  }
  const cells = [p50, p95, reference, p50 / reference].map((value) => value.toFixed(2).padStart(11)).join("");
  console.log(`${sample.name.padEnd(26)}${cells}${(bar === undefined ? "none" : `${bar}`).padStart(7)}`);
}

const { values } = parseArgs({
  options: { json: { type: "boolean", default: false }, rounds: { type: "string", default: "100" } },
});
const [nitro, { timestamp }] = expectedOf("nitro")[0];
const samples = [
  ...[sevSnpSample("milan-v2-coco"), sevSnpSample("milan-v3-azure-a")],
  ...[quoteSample("tdx/v4-with-collateral"), quoteSample("sgx/v3-with-collateral")],
  nitroSample(nitro, timestamp as string),
];
const titles = ["p50", "p95", "signatures", "ratio"].map((title) => title.padStart(11)).join("");
if (!values.json) console.log(`${"milliseconds".padEnd(26)}${titles}${"bar".padStart(7)}`);
for (const sample of samples) report(sample, Number(values.rounds), values.json);
