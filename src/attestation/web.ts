// Public entry "qflare/attestation/web": verifyEvidence on WebCrypto, for browsers. It reaches no module of Node.
// Simulated evidence is refused here: not every WebCrypto has ML-DSA.

import { equal } from "../core/bytes.ts";
import { type Subtle, sha256Web, verifyClassicalWeb } from "../crypto/web-signature.ts";
import { type CollectSimulated, collect, type VerificationOptions, verdictOf } from "./collect.ts";
import type { Evidence, Verdict } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { ROOTS } from "./roots.ts";

const simulated: CollectSimulated = (_document, _nowMs, findings) => {
  findings.require(false, "simulated evidence cannot be verified here");
  return undefined;
};

async function failedChecks(subtle: Subtle, { signatures, digests }: Findings): Promise<string[]> {
  const failed: string[] = [];
  for (const check of signatures) if (!(await verifyClassicalWeb(subtle, check))) failed.push(check.reason);
  for (const { message, digest, reason } of digests) {
    if (!equal(await sha256Web(subtle, message), digest)) failed.push(reason);
  }
  return failed;
}

/** As verifyEvidence of "qflare/attestation". subtle: crypto.subtle. */
export async function verifyEvidence(
  evidence: Evidence,
  options: VerificationOptions & { readonly subtle: Subtle },
): Promise<Verdict> {
  const collected = collect(evidence, options, ROOTS, simulated);
  return verdictOf(collected, await failedChecks(options.subtle, collected.findings));
}
