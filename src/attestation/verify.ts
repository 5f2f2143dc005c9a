// verifyEvidence on node:crypto, at once.

import { equal } from "../core/bytes.ts";
import { verifyClassical } from "../crypto/classical-signature.ts";
import { sha256 } from "../crypto/hash.ts";
import { type CollectSimulated, collect, type VerificationOptions, verdictOf } from "./collect.ts";
import type { Evidence, Verdict } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { ROOTS, type Roots } from "./roots.ts";
import { collectSimulated } from "./verify-simulated.ts";

const simulated: CollectSimulated = (document, nowMs, findings) => collectSimulated(document, nowMs, findings)?.claims;

function failedChecks({ signatures, digests }: Findings): string[] {
  const failed: string[] = [];
  for (const check of signatures) if (!verifyClassical(check)) failed.push(check.reason);
  for (const { message, digest, reason } of digests) if (!equal(sha256(message), digest)) failed.push(reason);
  return failed;
}

/** With other roots than the pinned ones, for tests that hold their keys. */
export function verifyEvidenceUnder(roots: Roots, evidence: Evidence, options: VerificationOptions): Verdict {
  const collected = collect(evidence, options, roots, simulated);
  return verdictOf(collected, failedChecks(collected.findings));
}

/**
 * Whether evidence is genuine, in force at options.now and good enough for options.policy. Uses no network and no clock
 * of its own. Bytes that are no evidence give a verdict too. Throws TypeError for arguments of the wrong type and
 * config.invalid for what is not a policy.
 */
export function verifyEvidence(evidence: Evidence, options: VerificationOptions): Verdict {
  return verifyEvidenceUnder(ROOTS, evidence, options);
}
