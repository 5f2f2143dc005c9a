// verifyEvidence on node:crypto, at once.

import { equal } from "../core/bytes.ts";
import { verifyClassical } from "../crypto/classical-signature.ts";
import { sha256 } from "../crypto/hash.ts";
import { type Circumstances, collect, timeOf, type VerificationOptions, verdictOf } from "./collect.ts";
import type { Evidence, Verdict } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { ROOTS, type Roots } from "./roots.ts";
import { collectSimulated } from "./verify-simulated.ts";

function failedChecks({ signatures, digests }: Findings): string[] {
  const failed: string[] = [];
  for (const check of signatures) if (!verifyClassical(check)) failed.push(check.reason);
  for (const { message, digest, reason } of digests) if (!equal(sha256(message), digest)) failed.push(reason);
  return failed;
}

/** As verifyEvidence, with the time as a number. */
export function verifyEvidenceAt(roots: Roots, evidence: Evidence, circumstances: Circumstances): Verdict {
  const collected = collect(evidence, circumstances, roots, collectSimulated);
  return verdictOf(collected, failedChecks(collected.findings));
}

/** With other roots than the pinned ones, for tests that hold their keys. */
export function verifyEvidenceUnder(roots: Roots, evidence: Evidence, options: VerificationOptions): Verdict {
  return verifyEvidenceAt(roots, evidence, { ...options, nowMs: timeOf(options) });
}

/**
 * Whether evidence is genuine, in force at options.now and good enough for options.policy. Uses no network and no clock
 * of its own. What is no evidence gives a verdict too: of an unknown kind, with other members than its kind has, with
 * other bytes. Throws TypeError for evidence that is no object and for what is no time, config.invalid for what is not
 * a policy.
 */
export function verifyEvidence(evidence: Evidence, options: VerificationOptions): Verdict {
  return verifyEvidenceUnder(ROOTS, evidence, options);
}
