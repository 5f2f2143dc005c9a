// Appraisal: whether a device may seal its update to the key in this evidence. On top of what verification finds stands
// what this device expects of its own run.

import { equal } from "../core/bytes.ts";
import { leafHash, verifyInclusion } from "../crypto/merkle.ts";
import { Findings } from "./findings.ts";
import { requirePolicy } from "./policy.ts";
import type { SimulatedBody } from "./simulated.ts";
import { collectSimulated } from "./verify-simulated.ts";

export interface Expectation {
  readonly nowMs: number;
  /** Evidence without hardware behind it: for tests, demonstrations, and sites that trust their server's operator. */
  readonly allowSimulated: boolean;
  readonly runId: Uint8Array;
  readonly policyHash: Uint8Array;
  /** The device's own 32 random bytes of this request, and the proof that the evidence covers them. */
  readonly nonce: Uint8Array;
  readonly nonceIndex: number;
  readonly nonceCount: number;
  readonly noncePath: readonly Uint8Array[];
}

export interface Appraisal {
  readonly ok: boolean;
  /** Why not; empty where ok. */
  readonly reasons: readonly string[];
  /** The enclave's keys and epoch, where ok. */
  readonly enclave?: SimulatedBody;
}

/** Throws message.malformed for bytes that are no evidence at all. */
export function appraise(evidence: Uint8Array, expected: Expectation): Appraisal {
  const findings = new Findings();
  const found = collectSimulated(evidence, expected.nowMs, findings);
  if (found === undefined) return { ok: false, reasons: findings.reasons };
  const { claims, body } = found;
  requirePolicy(findings, claims, { allow_simulated: expected.allowSimulated }, expected.nowMs);
  requireOwnRun(findings, body, expected);
  const { reasons } = findings;
  return reasons.length === 0 ? { ok: true, reasons, enclave: body } : { ok: false, reasons };
}

function requireOwnRun(findings: Findings, body: SimulatedBody, expected: Expectation): void {
  findings.require(equal(body.run_id, expected.runId), "it is for another run");
  findings.require(equal(body.policy_hash, expected.policyHash), "it is for another policy");
  const leaf = leafHash(expected.nonce);
  const { nonceIndex, nonceCount, noncePath } = expected;
  const isFresh = verifyInclusion(leaf, nonceIndex, nonceCount, noncePath, body.nonce_root);
  findings.require(isFresh, "it does not answer this device's nonce");
}
